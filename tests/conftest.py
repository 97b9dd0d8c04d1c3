"""What all tests share: how hypothesis judges them."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

# How long one example takes says more of what else the machine does than of the code: hypothesis
# itself leaves it alone where CI is set. What must not take long has a test of its own.
settings.register_profile(
    "whatever_the_machine_does",
    parent=settings(),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("whatever_the_machine_does")
