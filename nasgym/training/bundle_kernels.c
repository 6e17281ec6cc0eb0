/* The steps of one network's training on a CPU, run from a list of operations.

   Layout: a value is [pixels][channels][lanes]; the lanes are the images of the batch, innermost, so that every loop
   runs over whole vectors whatever the number of channels. `stride` lanes are stored, of which the first `n` are
   images and the rest up to `active` (a multiple of LANES) is kept at zero. A value may be some channels of a wider
   one: a pitch says how many channels there are from one pixel to the next.

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
typedef int32_t Places __attribute__((vector_size(4 * WIDTH), aligned(4), may_alias));

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
INLINE Vector positive(Vector x) { return choose(x < zero(), zero(), x); }

static void relu(const Context *c, const float *in, float *out, int64_t rows) {
    for (int64_t r = 0; r < rows; r++)
        for (int64_t b = 0; b < c->active; b += WIDTH) {
            store(out + r * c->stride + b, positive(load(in + r * c->stride + b)));
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

static void copy(const Context *c, const float *in, float *out, int64_t pixels, int64_t channels, int64_t in_pitch,
                 int64_t out_pitch, int64_t add) {
    for (int64_t p = 0; p < pixels; p++)
        for (int64_t k = 0; k < channels; k++)
            for (int64_t b = 0; b < c->active; b += WIDTH) {
                const float *from = in + (p * in_pitch + k) * c->stride + b;
                float *to = out + (p * out_pitch + k) * c->stride + b;
                store(to, add ? load(to) + load(from) : load(from));
            }
}

/* The largest of each window; `place`, where there is one, remembers its tap. NaN is the largest of all, and of equal
   ones the first, as in PyTorch. */
static void maximum(const Context *c, const int32_t *start, const float *in, float *out, int32_t *place,
                    int64_t pixels, int64_t channels, int64_t in_pitch, int64_t out_pitch) {
    const int32_t *pairs = start + pixels + 1;
    for (int64_t p = 0; p < pixels; p++)
        for (int64_t k = 0; k < channels; k++)
            for (int64_t b = 0; b < c->active; b += WIDTH) {
                int32_t e = start[p];
                Vector most = load(in + (pairs[2 * e] * in_pitch + k) * c->stride + b);
                Mask tap = (Mask){0} + pairs[2 * e + 1];
                for (e++; e < start[p + 1]; e++) {
                    Vector x = load(in + (pairs[2 * e] * in_pitch + k) * c->stride + b);
                    Mask more = (x > most) | (x != x);
                    most = choose(more, x, most);
                    tap = (((Mask){0} + pairs[2 * e + 1]) & more) | (tap & ~more);
                }
                store(out + (p * out_pitch + k) * c->stride + b, most);
                if (place) *(Places *)(place + (p * channels + k) * c->stride + b) = tap;
            }
}

/* The map goes by input pixel: pairs (output pixel, tap). */
static void maximum_backward(const Context *c, const int32_t *start, const int32_t *place, const float *dout,
                             float *dx, int64_t pixels, int64_t channels, int64_t dout_pitch, int64_t dx_pitch,
                             int64_t add) {
    const int32_t *pairs = start + pixels + 1;
    for (int64_t q = 0; q < pixels; q++)
        for (int64_t k = 0; k < channels; k++)
            for (int64_t b = 0; b < c->active; b += WIDTH) {
                float *to = dx + (q * dx_pitch + k) * c->stride + b;
                Vector sum = add ? load(to) : zero();
                for (int32_t e = start[q]; e < start[q + 1]; e++) {
                    const int64_t p = pairs[2 * e];
                    Mask mine = *(const Places *)(place + (p * channels + k) * c->stride + b) == pairs[2 * e + 1];
                    sum += choose(mine, load(dout + (p * dout_pitch + k) * c->stride + b), zero());
                }
                store(to, sum);
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
    int64_t pixels, inputs, outputs, tap_step, in_step, out_step, add, relu, in_pitch, out_pitch;
} Conv;

INLINE void conv_tile(const Context *c, const Conv *v, int64_t p, int64_t o, int64_t b, const int block) {
    const int32_t *pairs = v->start + v->pixels + 1;
    const int64_t stride = c->stride;
    float *to = v->out + (p * v->out_pitch + o) * stride + b;
    Vector sum[BLOCK][2];
    UNROLL for (int k = 0; k < block; k++)
        UNROLL for (int h = 0; h < 2; h++) {
            sum[k][h] = v->add && !v->relu ? load(to + k * stride + h * WIDTH) : zero();
            if (v->bias) sum[k][h] += v->bias[o + k];
        }
    for (int32_t e = v->start[p]; e < v->start[p + 1]; e++) {
        const float *x = v->in + pairs[2 * e] * v->in_pitch * stride + b;
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
        UNROLL for (int h = 0; h < 2; h++) {
            float *at = to + k * stride + h * WIDTH;
            if (v->relu) sum[k][h] = v->add ? load(at) + positive(sum[k][h]) : positive(sum[k][h]);
            store(at, sum[k][h]);
        }
}

#define TILES(block) \
    for (; o + block <= v->outputs; o += block) \
        for (int64_t b = 0; b < c->active; b += 2 * WIDTH) conv_tile(c, v, p, o, b, block);

/* Forward with in_step = outputs, out_step = 1; the gradient of the input with the two exchanged. */
static void conv(const Context *c, const Conv *v) {
    for (int64_t p = 0; p < v->pixels; p++) {
        int64_t o = 0;
        TILES(BLOCK)
        TILES(4)
        TILES(2)
        TILES(1)
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

#define COLUMNS(rows)                                                       \
    for (; o + 4 <= columns; o += 4) gradient_tile(c, x, dy + o * c->stride, sums + o, rows, 4); \
    for (; o + 2 <= columns; o += 2) gradient_tile(c, x, dy + o * c->stride, sums + o, rows, 2); \
    for (; o < columns; o++) gradient_tile(c, x, dy + o * c->stride, sums + o, rows, 1);

static void gradient_pixel(const Context *c, const float *x, const float *dy, Vector *sums, int64_t rows,
                           int64_t columns) {
    for (int64_t i = 0, tall; i < rows; i += tall, x += tall * c->stride, sums += tall * SUMS) {
        int64_t o = 0;
        tall = rows - i >= SIDE ? SIDE : rows - i >= 2 ? 2 : 1;
        if (tall == SIDE) {
            COLUMNS(SIDE)
        } else if (tall == 2) {
            COLUMNS(2)
        } else {
            COLUMNS(1)
        }
    }
}

/* The gradient of the weights; the map goes by tap: pairs (output pixel, input pixel). */
static void conv_gradient(const Context *c, const int32_t *start, const float *x, const float *dy, float *dw,
                          int64_t taps, int64_t inputs, int64_t outputs, int64_t pitch) {
    const int32_t *pairs = start + taps + 1;
    Vector sums[SUMS * SUMS];
    for (int64_t t = 0; t < taps; t++)
        for (int64_t i = 0; i < inputs; i += SUMS)
            for (int64_t o = 0; o < outputs; o += SUMS) {
                int64_t rows = inputs - i < SUMS ? inputs - i : SUMS, columns = outputs - o < SUMS ? outputs - o : SUMS;
                for (int64_t r = 0; r < rows; r++) memset(sums + r * SUMS, 0, sizeof(Vector) * columns);
                for (int32_t e = start[t]; e < start[t + 1]; e++)
                    gradient_pixel(c, x + (pairs[2 * e + 1] * pitch + i) * c->stride,
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

/* What a batch norm gives, without its mask. */
INLINE Vector normed(Vector y, float mean, float scale, float bias) { return (y - mean) * scale + bias; }

/* Every pixel of up to CHANNELS channels from `first`, in the order of memory; `at` is where its row begins. */
#define EACH_ROW(k, at)                                   \
    for (int64_t p_ = 0; p_ < pixels; p_++)               \
        for (int64_t k = 0, at = (p_ * channels + first) * c->stride; k < rows; k++, at += c->stride)

/* saved and running: [mean or its like][channels], then the second one. The variance takes a pass of its own. */
static void norm(const Context *c, const float *y, float *out, int64_t pixels, int64_t channels, const float *scale,
                 const float *bias, float *saved, float *running, int64_t add, int64_t rectified, int64_t pitch) {
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
        EACH_ROW(k, at) {
            float *to = out + (p_ * pitch + first + k) * c->stride;
            for (int64_t b = 0; b < c->active; b += WIDTH) {
                Vector v = normed(load(y + at + b), mean[k], a[k], bias[first + k]);
                v = (rectified ? positive(v) : v) * load(c->mask + b);
                store(to + b, add ? load(to + b) + v : v);
            }
        }
    }
}

typedef struct {
    const float *dout, *y, *scale, *bias, *saved;
    float *dy, *dscale, *dbias;
    int64_t pixels, channels, pitch;
} Norm;

/* The gradient of a batch norm, and with `rectified` of the ReLU after it, which is computed again. */
INLINE void norm_backward_channels(const Context *c, const Norm *v, const int64_t first, const int rectified) {
    const int64_t pixels = v->pixels, channels = v->channels;
    const float count = (float)(pixels * c->n), *y = v->y;
    const int64_t rows = channels - first < CHANNELS ? channels - first : CHANNELS;
    const float *mean = v->saved + first, *inverse = v->saved + channels + first, *bias = v->bias + first;
    float *dbias = v->dbias + first, *dscale = v->dscale + first;
    float a[CHANNELS], one[CHANNELS], two[CHANNELS];
    Vector sums[CHANNELS], products[CHANNELS];
    memset(sums, 0, sizeof(Vector) * rows);
    memset(products, 0, sizeof(Vector) * rows);
    for (int64_t k = 0; k < rows; k++) a[k] = v->scale[first + k] * inverse[k];
    EACH_ROW(k, at) {
        const float *from = v->dout + (p_ * v->pitch + first + k) * c->stride;
        if (!rectified) {
            sums[k] += row_sum(c, from);
            products[k] += row_products(c, from, y + at, mean[k]);
            continue;
        }
        for (int64_t b = 0; b < c->active; b += WIDTH) {
            const Vector x = load(y + at + b);
            const Vector d = choose(normed(x, mean[k], a[k], bias[k]) <= zero(), zero(), load(from + b));
            sums[k] += d;
            products[k] += d * (x - mean[k]);
        }
    }
    for (int64_t k = 0; k < rows; k++) {
        dbias[k] = total(sums[k]);
        dscale[k] = total(products[k]) * inverse[k];
        one[k] = dbias[k] / count;
        two[k] = dscale[k] * inverse[k] / count;
    }
    EACH_ROW(k, at) {
        const float *from = v->dout + (p_ * v->pitch + first + k) * c->stride;
        for (int64_t b = 0; b < c->active; b += WIDTH) {
            const Vector x = load(y + at + b);
            Vector d = load(from + b);
            if (rectified) d = choose(normed(x, mean[k], a[k], bias[k]) <= zero(), zero(), d);
            store(v->dy + at + b, (d - one[k] - (x - mean[k]) * two[k]) * a[k] * load(c->mask + b));
        }
    }
}

static void norm_backward(const Context *c, const Norm *v, int64_t rectified) {
    for (int64_t first = 0; first < v->channels; first += CHANNELS)
        if (rectified) norm_backward_channels(c, v, first, 1);
        else norm_backward_channels(c, v, first, 0);
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
    OP_BIAS, OP_BIAS_GRADIENT, OP_CROSS_ENTROPY, OP_SGD, OP_AFFINE, OP_FOLD, OP_MAXIMUM, OP_MAXIMUM_BACKWARD
};

#define ARGUMENTS 14

/* A place in the state is its offset in floats, a place in the scratch is the offset with all bits turned over. */
/* Run `count` operations of ARGUMENTS + 1 numbers each; return 0, or 1 for an unknown operation. */
int nasgym_run(const Context *c, const int64_t *ops, int64_t count) {
#define AT(k) (a[k] < 0 ? c->scratch + ~a[k] : c->state + a[k])
    for (int64_t k = 0; k < count; k++, ops += ARGUMENTS + 1) {
        const int64_t *a = ops + 1;
        switch (ops[0]) {
        case OP_ZERO: memset(AT(0), 0, sizeof(float) * a[1]); break;
        case OP_COPY: copy(c, AT(0), AT(1), a[2], a[4], a[5], a[6], a[3]); break;
        case OP_RELU: relu(c, AT(0), AT(1), a[2]); break;
        case OP_RELU_BACKWARD: relu_backward(c, AT(0), AT(1), AT(2), a[3], a[4]); break;
        case OP_GATHER: gather(c, c->tables + a[0], AT(1), AT(2), AT(3), a[4], a[5], a[6]); break;
        case OP_CONV: {
            Conv v = {c->tables + a[0], AT(1), AT(2), a[10] ? AT(3) : 0, AT(4), a[5], a[6], a[7], a[6] * a[7],
                      a[8] ? 1 : a[7], a[8] ? a[6] : 1, a[9], a[11], a[12], a[13]};
            conv(c, &v);
            break;
        }
        case OP_CONV_GRADIENT: conv_gradient(c, c->tables + a[0], AT(1), AT(2), AT(3), a[4], a[5], a[6], a[7]); break;
        case OP_NORM:
            norm(c, AT(0), AT(1), a[2], a[3], AT(4), AT(5), AT(6), AT(7), a[8], a[9], a[10]);
            break;
        case OP_NORM_BACKWARD: {
            Norm v = {AT(0), AT(1), AT(5), AT(9), AT(6), AT(2), AT(7), AT(8), a[3], a[4], a[11]};
            norm_backward(c, &v, a[10]);
            break;
        }
        case OP_BIAS: add_bias(c, AT(0), AT(1), a[2], a[3], a[4]); break;
        case OP_BIAS_GRADIENT: bias_gradient(c, AT(0), AT(1), a[2], a[3]); break;
        case OP_CROSS_ENTROPY: cross_entropy(c, AT(0), AT(1), a[2]); break;
        case OP_SGD: sgd(c, AT(0), AT(1), AT(2), a[3]); break;
        case OP_AFFINE: affine(c, AT(0), AT(1), a[2], a[3], AT(4), AT(5), AT(6)); break;
        case OP_FOLD: fold(AT(0), a[1], a[2], AT(3), AT(4), AT(5), AT(6), AT(7)); break;
        case OP_MAXIMUM:
            maximum(c, c->tables + a[0], AT(1), AT(2), a[7] ? (int32_t *)AT(3) : 0, a[4], a[5], a[6], a[8]);
            break;
        case OP_MAXIMUM_BACKWARD:
            maximum_backward(c, c->tables + a[0], (int32_t *)AT(1), AT(2), AT(3), a[4], a[5], a[6], a[7], a[8]);
            break;
        default: return 1;
        }
    }
#undef AT
    return 0;
}
