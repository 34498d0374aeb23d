"""Unknown entries of tables, completed from the rows that resemble them."""

from attractor.estimators.imputer.imputer import AssociativeImputer

__all__ = ["AssociativeImputer"]
