from taxonomy.models.items import Attribute, Category, Item, Refinement, Tag, TagAttribute
from taxonomy.models.releases import Release, Revision
from taxonomy.models.sources import MappingRow, MappingRule, Source

__all__ = [
    "Attribute",
    "Category",
    "Item",
    "MappingRow",
    "MappingRule",
    "Refinement",
    "Release",
    "Revision",
    "Source",
    "Tag",
    "TagAttribute",
]
