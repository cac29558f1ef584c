"""`python -m services.directory.load patients|professionals|establishments FILE`: see load_command.py.

As small as can be: the processes that read lines beside it import this file again.
"""

import gc
import sys
import warnings

if __name__ == "__main__":
    gc.disable()  # while what is imported comes to stay; main() has it look again
    warnings.simplefilter("ignore")  # a library's advice to its programmers is no line for an operator
    from services.directory.load_command import main

    sys.exit(main())
