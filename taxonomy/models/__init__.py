from taxonomy.models.checks import CheckSetting
from taxonomy.models.grants import Grant
from taxonomy.models.items import Attribute, Category, Item, Refinement, Tag, TagAttribute, TagMode
from taxonomy.models.proposals import Comment, Proposal, ProposalItem, ReviewPolicy, Vote
from taxonomy.models.releases import Follow, Release, Revision
from taxonomy.models.sources import MappingRow, MappingRule, Source

__all__ = [
    "Attribute",
    "Category",
    "CheckSetting",
    "Comment",
    "Follow",
    "Grant",
    "Item",
    "MappingRow",
    "MappingRule",
    "Proposal",
    "ProposalItem",
    "Refinement",
    "Release",
    "ReviewPolicy",
    "Revision",
    "Source",
    "Tag",
    "TagAttribute",
    "TagMode",
    "Vote",
]
