"""The built-in sources of training data."""

from diamond.runtime.data.dataset import Batch as Batch
from diamond.runtime.data.dataset import DataError as DataError
from diamond.runtime.data.dataset import Dataset as Dataset
from diamond.runtime.data.open import open_data as open_data
from diamond.runtime.data.prefetch import Prefetcher as Prefetcher
from diamond.runtime.data.share import Share as Share
