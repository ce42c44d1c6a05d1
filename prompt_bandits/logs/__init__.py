"""People's own logs: tables and files with columns of any name, checked row by row and turned into datasets."""

from prompt_bandits.logs.importing import check_log, import_log, read_log
from prompt_bandits.logs.report import BadLog, LogReport, Problem
from prompt_bandits.logs.schema import LogColumns

__all__ = ["BadLog", "LogColumns", "LogReport", "Problem", "check_log", "import_log", "read_log"]
