"""`nas_201_api` over the nasgym store: the same calls, arguments and answers as version 2.1 of NAS-Bench-201's.

One changed import line moves a script over: ``from nasgym.compat.nas_201_api import NASBench201API as API``.
`docs/compat.md` lists the methods and the places where these are deliberately better. The calls are those of
NAS-Bench-201 by Dong and Yang (MIT).
"""

from nasgym.compat.nas_201_api.api_201 import NASBench201API
from nasgym.compat.nas_201_api.api_utils import ArchResults, ResultsCount

__all__ = ["NAS_BENCH_201_API_VERSION", "ArchResults", "NASBench201API", "ResultsCount"]

NAS_BENCH_201_API_VERSION = "v2.0"
"""What the original's package 2.1 says of itself."""
