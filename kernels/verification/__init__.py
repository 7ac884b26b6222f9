"""Witnesses for gradients, and the report of what they say about a derivation.

witnesses lists them; each differentiates the forward equations in its own way (autodiff, complex_step, differences,
jax_witness, torch_witness); report compares a derivation with them.
"""

from kernels.verification.claims import check_steps
from kernels.verification.objective import Gradients
from kernels.verification.report import Report, derived_gradients, trial_sizes, verify
from kernels.verification.witnesses import WITNESSES, Witness

__all__ = ["WITNESSES", "Gradients", "Report", "Witness", "check_steps", "derived_gradients", "trial_sizes", "verify"]
