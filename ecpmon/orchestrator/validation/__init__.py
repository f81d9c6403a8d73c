"""Validation of a manifest somebody else wrote. Pure."""

from ecpmon.orchestrator.validation.report import Finding, Report, Severity
from ecpmon.orchestrator.validation.validate import validate_manifest

__all__ = ["Finding", "Report", "Severity", "validate_manifest"]
