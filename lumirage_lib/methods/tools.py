"""What cohorts are handed to prepare a scan: methods they must not import themselves."""

from ..cohorts import Tools
from .atlases import register_atlas
from .segment import segment

TOOLS = Tools(register=register_atlas, segment=segment)
