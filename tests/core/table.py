"""Reads the text tables that cases are written in."""


def rows(text: str) -> list[tuple[str, ...]]:
    """Return the cells of each line, split at ``|`` and stripped; the first line names the columns and is left out."""
    lines = [line for line in text.strip().splitlines() if line.strip()]
    table = [tuple(cell.strip() for cell in line.split("|")) for line in lines]
    if any(len(row) != len(table[0]) for row in table):
        raise ValueError("a row has more or fewer cells than the heading")
    return table[1:]
