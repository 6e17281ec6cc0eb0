/* The steps of one network's training on a CPU, run from a list of operations.

   Layout: a value is [pixels][channels][lanes]; the lanes are the images of the batch, innermost, so that every loop
   runs over whole vectors whatever the number of channels. `stride` lanes are stored, of which the first `n` are
   images and the rest up to `active` (a multiple of LANES) is kept at zero.

   A map says which input pixels an output pixel reads: row starts, then pairs (input pixel, tap). So borders, strides
   and poolings need no padding and no special case. Weights are [taps][inputs][outputs].

   bundle_program.py writes the lists of operations; the two files must agree on OPS and on the arguments. */

#include <math.h>
#include <stdint.h>
#include <string.h>

#if defined(__AVX512F__)
#define WIDTH 16
#define BLOCK 8 /* output channels of a tile: BLOCK * 2 vectors of sums stay in registers */
#define SIDE 4  /* a tile of the weights' gradient: SIDE * 4 vectors of sums */
#elif defined(__AVX__)
#define WIDTH 8
#define BLOCK 4
#define SIDE 2
#else
#define WIDTH 4
#define BLOCK 8
#define SIDE 4
#endif
#if defined(__AVX512F__)
#define KEEP(v) __asm__("" : "+v"(v)) /* in its register: gcc would load it again for every use */
#else
#define KEEP(v)
#endif
#define LANES 32
#define SUMS 16 /* channels by channels of which the weights' gradient is summed at once: 16 KiB, in the first cache */
#define CHANNELS 64 /* whose batch norms go through memory together */
#define EPSILON 1e-5f
#define MOMENTUM 0.1f
#define UNROLL _Pragma("GCC unroll 8")
#define INLINE static inline __attribute__((always_inline))

typedef float Vector __attribute__((vector_size(4 * WIDTH)));
typedef float Stored __attribute__((vector_size(4 * WIDTH), aligned(4), may_alias)); /* in memory, aligned or not */
typedef float Half __attribute__((vector_size(2 * WIDTH), aligned(4), may_alias));
typedef float Quarter __attribute__((vector_size(WIDTH), aligned(4), may_alias));
typedef int32_t Mask __attribute__((vector_size(4 * WIDTH)));

typedef struct {
    float *state;   /* what lives as long as the network: weights, their gradients and velocities, statistics */
    float *scratch; /* values and their gradients, of one step */
    const int32_t *tables;
    int64_t stride, active, n;
    const float *mask; /* one for an image, zero for a lane without */
    const int64_t *labels;
    double *sums; /* loss, correct answers */
    float rate, momentum, decay;
    int nesterov;
} Context;

INLINE Vector load(const float *at) { return *(const Stored *)at; }
INLINE void store(float *at, Vector v) { *(Stored *)at = v; }
INLINE Vector zero(void) { return (Vector){0}; }
INLINE Vector choose(Mask m, Vector a, Vector b) { return (Vector)(((Mask)a & m) | ((Mask)b & ~m)); }

INLINE float total(Vector v) {
    float part[WIDTH], sum = 0;
    store(part, v);
    *(Half *)part += *(const Half *)(part + WIDTH / 2);
    *(Quarter *)part += *(const Quarter *)(part + WIDTH / 4);
    for (int k = 0; k < WIDTH / 4; k++) sum += part[k];
    return sum;
}

/* NaN stays NaN, so that a divergence shows. */
static void relu(const Context *c, const float *in, float *out, int64_t rows) {
    for (int64_t r = 0; r < rows; r++)
        for (int64_t b = 0; b < c->active; b += WIDTH) {
            Vector x = load(in + r * c->stride + b);
            store(out + r * c->stride + b, choose(x < zero(), zero(), x));
        }
}

static void relu_backward(const Context *c, const float *r_, const float *dr, float *dx, int64_t rows, int64_t add) {
    for (int64_t r = 0; r < rows; r++)
        for (int64_t b = 0; b < c->active; b += WIDTH) {
            int64_t at = r * c->stride + b;
            Vector g = choose(load(r_ + at) <= zero(), zero(), load(dr + at));
            store(dx + at, add ? load(dx + at) + g : g);
        }
}

static void copy(const Context *c, const float *in, float *out, int64_t rows, int64_t add) {
    for (int64_t r = 0; r < rows; r++)
        for (int64_t b = 0; b < c->active; b += WIDTH) {
            int64_t at = r * c->stride + b;
            store(out + at, add ? load(out + at) + load(in + at) : load(in + at));
        }
}

/* out[p] = sum over the map of coefficient * in[q], channel by channel: poolings, their gradients, means. */
static void gather(const Context *c, const int32_t *start, const float *coefficient, const float *in, float *out,
                   int64_t pixels, int64_t channels, int64_t add) {
    const int32_t *pairs = start + pixels + 1;
    for (int64_t p = 0; p < pixels; p++)
        for (int64_t k = 0; k < channels; k++)
            for (int64_t b = 0; b < c->active; b += 2 * WIDTH) {
                float *to = out + (p * channels + k) * c->stride + b;
                Vector low = add ? load(to) : zero(), high = add ? load(to + WIDTH) : zero();
                for (int32_t e = start[p]; e < start[p + 1]; e++) {
                    const float *from = in + (pairs[2 * e] * channels + k) * c->stride + b;
                    low += load(from) * coefficient[e];
                    high += load(from + WIDTH) * coefficient[e];
                }
                store(to, low);
                store(to + WIDTH, high);
            }
}

typedef struct {
    const int32_t *start;
    const float *in, *weight, *bias;
    float *out;
    int64_t pixels, inputs, outputs, tap_step, in_step, out_step, add;
} Conv;

INLINE void conv_tile(const Context *c, const Conv *v, int64_t p, int64_t o, int64_t b, const int block) {
    const int32_t *pairs = v->start + v->pixels + 1;
    const int64_t stride = c->stride;
    float *to = v->out + (p * v->outputs + o) * stride + b;
    Vector sum[BLOCK][2];
    UNROLL for (int k = 0; k < block; k++)
        UNROLL for (int h = 0; h < 2; h++) {
            sum[k][h] = v->add ? load(to + k * stride + h * WIDTH) : zero();
            if (v->bias) sum[k][h] += v->bias[o + k];
        }
    for (int32_t e = v->start[p]; e < v->start[p + 1]; e++) {
        const float *x = v->in + pairs[2 * e] * v->inputs * stride + b;
        const float *w = v->weight + pairs[2 * e + 1] * v->tap_step + o * v->out_step;
        for (int64_t i = 0; i < v->inputs; i++, x += stride, w += v->in_step) {
            Vector low = load(x), high = load(x + WIDTH);
            UNROLL for (int k = 0; k < block; k++) {
                float scale = w[k * v->out_step];
                sum[k][0] += low * scale;
                sum[k][1] += high * scale;
            }
        }
    }
    UNROLL for (int k = 0; k < block; k++)
        UNROLL for (int h = 0; h < 2; h++) store(to + k * stride + h * WIDTH, sum[k][h]);
}

/* Forward with in_step = outputs, out_step = 1; the gradient of the input with the two exchanged. */
static void conv(const Context *c, const Conv *v) {
    for (int64_t p = 0; p < v->pixels; p++) {
        int64_t o = 0;
        for (; o + BLOCK <= v->outputs; o += BLOCK)
            for (int64_t b = 0; b < c->active; b += 2 * WIDTH) conv_tile(c, v, p, o, b, BLOCK);
        for (; o < v->outputs; o++)
            for (int64_t b = 0; b < c->active; b += 2 * WIDTH) conv_tile(c, v, p, o, b, 1);
    }
}

INLINE void gradient_tile(const Context *c, const float *x, const float *dy, Vector *sums, const int rows,
                          const int columns) {
    Vector sum[SIDE][4], right[4];
    UNROLL for (int i = 0; i < rows; i++)
        UNROLL for (int o = 0; o < columns; o++) sum[i][o] = sums[i * SUMS + o];
    for (int64_t b = 0; b < c->active; b += WIDTH) {
        UNROLL for (int o = 0; o < columns; o++) {
            right[o] = load(dy + o * c->stride + b);
            KEEP(right[o]);
        }
        UNROLL for (int i = 0; i < rows; i++) {
            Vector left = load(x + i * c->stride + b);
            KEEP(left);
            UNROLL for (int o = 0; o < columns; o++) sum[i][o] += left * right[o];
        }
    }
    UNROLL for (int i = 0; i < rows; i++)
        UNROLL for (int o = 0; o < columns; o++) sums[i * SUMS + o] = sum[i][o];
}

static void gradient_pixel(const Context *c, const float *x, const float *dy, Vector *sums, int64_t rows,
                           int64_t columns) {
    for (int64_t i = 0; i < rows;) {
        int tall = i + SIDE <= rows;
        for (int64_t o = 0; o < columns;) {
            int wide = o + 4 <= columns;
            const float *left = x + i * c->stride, *right = dy + o * c->stride;
            Vector *at = sums + i * SUMS + o;
            if (tall && wide) gradient_tile(c, left, right, at, SIDE, 4);
            else if (tall) gradient_tile(c, left, right, at, SIDE, 1);
            else if (wide) gradient_tile(c, left, right, at, 1, 4);
            else gradient_tile(c, left, right, at, 1, 1);
            o += wide ? 4 : 1;
        }
        i += tall ? SIDE : 1;
    }
}

/* The gradient of the weights; the map goes by tap: pairs (output pixel, input pixel). */
static void conv_gradient(const Context *c, const int32_t *start, const float *x, const float *dy, float *dw,
                          int64_t taps, int64_t inputs, int64_t outputs) {
    const int32_t *pairs = start + taps + 1;
    Vector sums[SUMS * SUMS];
    for (int64_t t = 0; t < taps; t++)
        for (int64_t i = 0; i < inputs; i += SUMS)
            for (int64_t o = 0; o < outputs; o += SUMS) {
                int64_t rows = inputs - i < SUMS ? inputs - i : SUMS, columns = outputs - o < SUMS ? outputs - o : SUMS;
                for (int64_t r = 0; r < rows; r++) memset(sums + r * SUMS, 0, sizeof(Vector) * columns);
                for (int32_t e = start[t]; e < start[t + 1]; e++)
                    gradient_pixel(c, x + (pairs[2 * e + 1] * inputs + i) * c->stride,
                                   dy + (pairs[2 * e] * outputs + o) * c->stride, sums, rows, columns);
                for (int64_t r = 0; r < rows; r++)
                    for (int64_t k = 0; k < columns; k++)
                        dw[(t * inputs + i + r) * outputs + o + k] = total(sums[r * SUMS + k]);
            }
}

/* Sums over one row of lanes. */
INLINE Vector row_sum(const Context *c, const float *x) {
    Vector even = zero(), odd = zero();
    for (int64_t b = 0; b < c->active; b += 2 * WIDTH) {
        even += load(x + b);
        odd += load(x + b + WIDTH);
    }
    return even + odd;
}

INLINE Vector row_squares(const Context *c, const float *x, float mean) {
    Vector even = zero(), odd = zero();
    for (int64_t b = 0; b < c->active; b += 2 * WIDTH) {
        Vector low = (load(x + b) - mean) * load(c->mask + b);
        Vector high = (load(x + b + WIDTH) - mean) * load(c->mask + b + WIDTH);
        even += low * low;
        odd += high * high;
    }
    return even + odd;
}

INLINE Vector row_products(const Context *c, const float *d, const float *x, float mean) {
    Vector even = zero(), odd = zero();
    for (int64_t b = 0; b < c->active; b += 2 * WIDTH) {
        even += load(d + b) * (load(x + b) - mean);
        odd += load(d + b + WIDTH) * (load(x + b + WIDTH) - mean);
    }
    return even + odd;
}

/* Every pixel of up to CHANNELS channels from `first`, in the order of memory; `at` is where its row begins. */
#define EACH_ROW(k, at)                                   \
    for (int64_t p_ = 0; p_ < pixels; p_++)               \
        for (int64_t k = 0, at = (p_ * channels + first) * c->stride; k < rows; k++, at += c->stride)

/* saved and running: [mean or its like][channels], then the second one. The variance takes a pass of its own. */
static void norm(const Context *c, const float *y, float *out, int64_t pixels, int64_t channels, const float *scale,
                 const float *bias, float *saved, float *running, int64_t add) {
    const float count = (float)(pixels * c->n);
    for (int64_t first = 0; first < channels; first += CHANNELS) {
        const int64_t rows = channels - first < CHANNELS ? channels - first : CHANNELS;
        float *mean = saved + first, *inverse = saved + channels + first, a[CHANNELS];
        Vector sums[CHANNELS], squares[CHANNELS];
        memset(sums, 0, sizeof(Vector) * rows);
        memset(squares, 0, sizeof(Vector) * rows);
        EACH_ROW(k, at) sums[k] += row_sum(c, y + at);
        for (int64_t k = 0; k < rows; k++) mean[k] = total(sums[k]) / count;
        EACH_ROW(k, at) squares[k] += row_squares(c, y + at, mean[k]);
        for (int64_t k = 0; k < rows; k++) {
            const float variance = total(squares[k]) / count;
            float *means = running + first + k, *variances = means + channels;
            *means += MOMENTUM * (mean[k] - *means);
            *variances += MOMENTUM * (variance * count / (count - 1) - *variances);
            inverse[k] = 1 / sqrtf(variance + EPSILON);
            a[k] = scale[first + k] * inverse[k];
        }
        EACH_ROW(k, at)
            for (int64_t b = at; b < at + c->active; b += WIDTH) {
                Vector v = ((load(y + b) - mean[k]) * a[k] + bias[first + k]) * load(c->mask + b - at);
                store(out + b, add ? load(out + b) + v : v);
            }
    }
}

static void norm_backward(const Context *c, const float *dout, const float *y, float *dy, int64_t pixels,
                          int64_t channels, const float *scale, const float *saved, float *dscale, float *dbias) {
    const float count = (float)(pixels * c->n);
    for (int64_t first = 0; first < channels; first += CHANNELS) {
        const int64_t rows = channels - first < CHANNELS ? channels - first : CHANNELS;
        const float *mean = saved + first, *inverse = saved + channels + first;
        float a[CHANNELS], one[CHANNELS], two[CHANNELS];
        Vector sums[CHANNELS], products[CHANNELS];
        memset(sums, 0, sizeof(Vector) * rows);
        memset(products, 0, sizeof(Vector) * rows);
        EACH_ROW(k, at) {
            sums[k] += row_sum(c, dout + at);
            products[k] += row_products(c, dout + at, y + at, mean[k]);
        }
        for (int64_t k = 0; k < rows; k++) {
            dbias[first + k] = total(sums[k]);
            dscale[first + k] = total(products[k]) * inverse[k];
            a[k] = scale[first + k] * inverse[k];
            one[k] = dbias[first + k] / count;
            two[k] = dscale[first + k] * inverse[k] / count;
        }
        EACH_ROW(k, at)
            for (int64_t b = at; b < at + c->active; b += WIDTH) {
                Vector v = load(dout + b) - one[k] - (load(y + b) - mean[k]) * two[k];
                store(dy + b, v * a[k] * load(c->mask + b - at));
            }
    }
}

static void add_bias(const Context *c, const float *bias, float *out, int64_t pixels, int64_t channels, int64_t add) {
    for (int64_t r = 0; r < pixels * channels; r++)
        for (int64_t b = 0; b < c->active; b += WIDTH) {
            float *to = out + r * c->stride + b;
            Vector v = load(c->mask + b) * bias[r % channels];
            store(to, add ? load(to) + v : v);
        }
}

static void bias_gradient(const Context *c, const float *dout, float *dbias, int64_t pixels, int64_t channels) {
    for (int64_t k = 0; k < channels; k++) {
        Vector sum = zero();
        for (int64_t p = 0; p < pixels; p++)
            for (int64_t b = 0; b < c->active; b += WIDTH) sum += load(dout + (p * channels + k) * c->stride + b);
        dbias[k] = total(sum);
    }
}

/* Softmax cross-entropy: adds to the sums, and gives the gradient of the batch's mean loss. */
static void cross_entropy(const Context *c, const float *logits, float *gradient, int64_t classes) {
    for (int64_t b = 0; b < c->active; b++) {
        if (b >= c->n) {
            for (int64_t k = 0; k < classes; k++) gradient[k * c->stride + b] = 0;
            continue;
        }
        int64_t best = 0, label = c->labels[b];
        float sum = 0;
        for (int64_t k = 1; k < classes; k++)
            if (logits[k * c->stride + b] > logits[best * c->stride + b]) best = k;
        const float largest = logits[best * c->stride + b];
        for (int64_t k = 0; k < classes; k++) sum += expf(logits[k * c->stride + b] - largest);
        c->sums[0] += logf(sum) + largest - logits[label * c->stride + b];
        c->sums[1] += best == label;
        for (int64_t k = 0; k < classes; k++)
            gradient[k * c->stride + b] =
                (expf(logits[k * c->stride + b] - largest) / sum - (k == label)) / (float)c->n;
    }
}

/* SGD with momentum, as PyTorch defines it. */
static void sgd(const Context *c, float *weight, const float *gradient, float *velocity, int64_t size) {
    for (int64_t k = 0; k < size; k++) {
        float g = gradient[k] + c->decay * weight[k];
        velocity[k] = c->momentum * velocity[k] + g;
        weight[k] -= c->rate * (c->nesterov ? g + c->momentum * velocity[k] : velocity[k]);
    }
}

static void affine(const Context *c, const float *in, float *out, int64_t pixels, int64_t channels, const float *scale,
                   const float *bias, const float *running) {
    for (int64_t r = 0; r < pixels * channels; r++) {
        const int64_t k = r % channels;
        const float a = scale[k] / sqrtf(running[channels + k] + EPSILON), shift = bias[k] - running[k] * a;
        for (int64_t b = 0; b < c->active; b += WIDTH)
            store(out + r * c->stride + b, load(in + r * c->stride + b) * a + shift);
    }
}

/* Fold a batch norm in evaluation mode into the convolution before it. */
static void fold(const float *weight, int64_t rows, int64_t outputs, const float *scale, const float *bias,
                 const float *running, float *folded, float *shift) {
    for (int64_t o = 0; o < outputs; o++) {
        const float a = scale[o] / sqrtf(running[outputs + o] + EPSILON);
        shift[o] = bias[o] - running[o] * a;
        for (int64_t r = 0; r < rows; r++) folded[r * outputs + o] = weight[r * outputs + o] * a;
    }
}

enum {
    OP_ZERO, OP_COPY, OP_RELU, OP_RELU_BACKWARD, OP_GATHER, OP_CONV, OP_CONV_GRADIENT, OP_NORM, OP_NORM_BACKWARD,
    OP_BIAS, OP_BIAS_GRADIENT, OP_CROSS_ENTROPY, OP_SGD, OP_AFFINE, OP_FOLD
};

#define ARGUMENTS 12

/* A place in the state is its offset in floats, a place in the scratch is the offset with all bits turned over. */
/* Run `count` operations of ARGUMENTS + 1 numbers each; return 0, or 1 for an unknown operation. */
int nasgym_run(const Context *c, const int64_t *ops, int64_t count) {
#define AT(k) (a[k] < 0 ? c->scratch + ~a[k] : c->state + a[k])
    for (int64_t k = 0; k < count; k++, ops += ARGUMENTS + 1) {
        const int64_t *a = ops + 1;
        switch (ops[0]) {
        case OP_ZERO: memset(AT(0), 0, sizeof(float) * a[1]); break;
        case OP_COPY: copy(c, AT(0), AT(1), a[2], a[3]); break;
        case OP_RELU: relu(c, AT(0), AT(1), a[2]); break;
        case OP_RELU_BACKWARD: relu_backward(c, AT(0), AT(1), AT(2), a[3], a[4]); break;
        case OP_GATHER: gather(c, c->tables + a[0], AT(1), AT(2), AT(3), a[4], a[5], a[6]); break;
        case OP_CONV: {
            Conv v = {c->tables + a[0], AT(1), AT(2), a[10] ? AT(3) : 0, AT(4), a[5], a[6], a[7], a[6] * a[7],
                      a[8] ? 1 : a[7], a[8] ? a[6] : 1, a[9]};
            conv(c, &v);
            break;
        }
        case OP_CONV_GRADIENT: conv_gradient(c, c->tables + a[0], AT(1), AT(2), AT(3), a[4], a[5], a[6]); break;
        case OP_NORM: norm(c, AT(0), AT(1), a[2], a[3], AT(4), AT(5), AT(6), AT(7), a[8]); break;
        case OP_NORM_BACKWARD:
            norm_backward(c, AT(0), AT(1), AT(2), a[3], a[4], AT(5), AT(6), AT(7), AT(8));
            break;
        case OP_BIAS: add_bias(c, AT(0), AT(1), a[2], a[3], a[4]); break;
        case OP_BIAS_GRADIENT: bias_gradient(c, AT(0), AT(1), a[2], a[3]); break;
        case OP_CROSS_ENTROPY: cross_entropy(c, AT(0), AT(1), a[2]); break;
        case OP_SGD: sgd(c, AT(0), AT(1), AT(2), a[3]); break;
        case OP_AFFINE: affine(c, AT(0), AT(1), a[2], a[3], AT(4), AT(5), AT(6)); break;
        case OP_FOLD: fold(AT(0), a[1], a[2], AT(3), AT(4), AT(5), AT(6), AT(7)); break;
        default: return 1;
        }
    }
#undef AT
    return 0;
}
