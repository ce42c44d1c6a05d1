"""What a dataset says of its logging policies, in memory or on disk."""

from __future__ import annotations

from typing import Protocol

from prompt_bandits.protocols import Policy


class _HasPolicies(Protocol):
    @property
    def policies(self) -> tuple[Policy, ...]: ...


class CarriesPolicies:
    """Mixin for what has `policies`."""

    def require_logging_policy(self: _HasPolicies) -> Policy:
        """The policy that logged all of it.

        Raises:
            ValueError: the dataset carries none, or several.
        """
        if len(self.policies) != 1:
            raise ValueError(f"logging_policy: expected a dataset that carries exactly one, got {len(self.policies)}")
        return self.policies[0]

    def require_logging_policies(self: _HasPolicies) -> tuple[Policy, ...]:
        """The policies that logged it.

        Raises:
            ValueError: the dataset carries none.
        """
        if not self.policies:
            raise ValueError("logging_policy: this dataset carries none; its propensities are all that is known")
        return self.policies
