"""x"""
def run(rows: int) -> bool: return True
