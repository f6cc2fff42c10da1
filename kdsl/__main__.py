"""python -m kdsl"""

from kdsl.cli import main

if __name__ == "__main__":
    main()
