"""Child processes that begin at once, to be killed."""

WITHOUT_TORCH = """
import sys, types
from pathlib import Path
import vidpred
package = types.ModuleType("vidpred.data")
package.__path__ = [str(Path(vidpred.__file__).parent / "data")]
sys.modules["vidpred.data"] = package
"""
"""Lets modules of `vidpred.data` be imported without the package, which brings torch: seconds."""
