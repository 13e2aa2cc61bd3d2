"""The plan in and out: written with codes instead of uuids, as a workbook, as a folder, in the formats of others."""
