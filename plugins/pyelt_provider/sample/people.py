"""Made-up people and addresses, the same for the same seed. Nobody here exists."""

from __future__ import annotations

from datetime import date, timedelta

LAST_NAMES = (
    "Aarden", "Beemster", "Citroen", "Duinman", "Eikelaar", "Fluitsma", "Gorssel", "Heideveld", "IJzerman", "Jonkheer",
    "Kastelein", "Lindeboom", "Molenaar", "Nachtegaal", "Ooievaar", "Populier", "Quist", "Rietveld", "Sterrenburg",
    "Torenvliet", "Uilenspiegel", "Vlinder", "Wilgenhof", "Zandstra", "van der Brug", "de Graanhof", "O'Dune", "Müller",
)  # fmt: skip
FIRST_NAMES = (
    "Aniek", "Bas", "Cees", "Dirkje", "Evert", "Femke", "Gijs", "Hilde", "Ivo", "Jet", "Koos", "Loes", "Maaike",
    "Niels", "Olga", "Pim", "Quinten", "Roos", "Siem", "Tess", "Ule", "Vera", "Wout", "Xandra", "Yara", "Zoë",
)  # fmt: skip
STREETS = (
    "Bloemkade", "Dijkweg", "Eendenpad", "Fazantlaan", "Gagelhof", "Haverstraat", "Iepenlaan", "Korenmarkt",
    "Lisdodde", "Molenwerf", "Notenboom", "Oeverpad", "Pluimweide", "Rozenhof", "Sluisplein", "Turfsteeg",
    "Veldzicht", "Wilgenkade",
)  # fmt: skip
CITIES = ("Duinstad", "Groenwoude", "Havermeer", "Lindendam", "Zuidwal")

_MASK = (1 << 64) - 1


def mixed(seed: int, number: int, salt: int = 0) -> int:
    """Return a 64-bit number that looks random and depends on nothing but the three given (the splitmix64 finish).

    Cheaper than a seeded generator object per person, and any person can be asked for without those before.
    """
    x = (seed * 0x9E3779B97F4A7C15 + number * 0xBF58476D1CE4E5B9 + salt * 0x94D049BB133111EB + 1) & _MASK
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & _MASK
    return x ^ (x >> 31)


def last_name(dice: int) -> str:
    return LAST_NAMES[dice % len(LAST_NAMES)]


def first_name(dice: int) -> str:
    return FIRST_NAMES[dice // 31 % len(FIRST_NAMES)]


def birth_date(dice: int) -> str:
    """Return a day in the years 1930 to 2019 as ISO text."""
    return (date(1930, 1, 1) + timedelta(days=dice // 97 % 32_800)).isoformat()


def address(dice: int, moves: int) -> tuple[str, str, str, str]:
    """Return street, house number, postcode and city; another number of moves gives another house number."""
    here = dice // 7 + moves * 1_000_003
    postcode = f"{1000 + here // 11 % 9000} {chr(65 + here // 13 % 26)}{chr(65 + here // 17 % 26)}"
    return (
        STREETS[here // 3 % len(STREETS)],
        str(1 + (dice // 5 + moves * 7) % 199),
        postcode,
        CITIES[here // 19 % len(CITIES)],
    )


def phone(dice: int) -> str:
    """Return a telephone number as people write it: one of four ways, from a range that is not given out."""
    digits = f"{dice // 23 % 10_000:04d}"
    match dice % 4:
        case 0:
            return f"020-555 {digits}"
        case 1:
            return f"(020) 555{digits}"
        case 2:
            return f"+31 20 555 {digits}"
        case _:
            return f"020555{digits}"


def mobile(dice: int) -> str:
    """Return a mobile number, or an empty text for every third person."""
    return "" if dice % 3 == 0 else f"06-0055 {dice // 29 % 10_000:04d}"
