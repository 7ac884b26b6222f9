"""What a readable system must satisfy besides its shapes."""
from derive.language.system import System
def check(system: System) -> System:
    return system
