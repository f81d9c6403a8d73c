"""Validation of a manifest somebody else wrote. Pure."""

from ecpmon.orchestrator.validation.report import Finding, Report, Severity
from ecpmon.orchestrator.validation.rules import VERSIONS
from ecpmon.orchestrator.validation.validate import DEFAULT_VERSION, validate_manifest

__all__ = ["DEFAULT_VERSION", "VERSIONS", "Finding", "Report", "Severity", "validate_manifest"]
