"""`nasbench` over the nasgym store: the calls, arguments and answers of google-research/nasbench, without TensorFlow.

One changed import line moves a script over: ``from nasgym.compat.nasbench import api``. `docs/compat.md` lists the
methods and the places where these are deliberately better. The calls are those of NAS-Bench-101 by Ying et al.
(Apache-2.0).
"""
