"""Ratios, measured side by side in one run. They inform; nothing here passes or fails."""
