"""What Rehouse knows about platforms and pairs: data with source and date, read by `rehouse.knowledge.load`."""

from rehouse.knowledge.load import (
    AttachmentsLayout,
    ColumnLayout,
    CustomFieldsLayout,
    Layout,
    ObjectLayout,
    PipelineLayout,
    Platform,
    UsersLayout,
    load_layout,
    load_platform,
    platform_names,
)

__all__ = [
    "AttachmentsLayout",
    "ColumnLayout",
    "CustomFieldsLayout",
    "Layout",
    "ObjectLayout",
    "PipelineLayout",
    "Platform",
    "UsersLayout",
    "load_layout",
    "load_platform",
    "platform_names",
]
