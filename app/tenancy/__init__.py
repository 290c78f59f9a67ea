"""Scope what a transaction sees.

Every transaction has a scope: one tenant, or the platform.

In: a tenant's id, or the word that the platform itself acts. Out: transactions in which PostgreSQL's row level security
shows that tenant's rows and no others. Can't happen here: a query without a scope (it raises before it reaches the
database), a scope that outlives its transaction in the pool, one tenant's objects met in another's session.
"""

from app.tenancy.scope import NoScope, Scope, ScopeInUse, current, platform, tenant, transaction
from app.tenancy.time_limits import gave_way

__all__ = ["NoScope", "Scope", "ScopeInUse", "current", "gave_way", "platform", "tenant", "transaction"]
