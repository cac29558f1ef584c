"""Where people live: places of Luxembourg's communes with the postal codes in use there, and towns across the borders.

One line per place: commune, place, first and last postal code in use, thousands of inhabitants of the commune's share
(rounded; STATEC counts 135,000 in the capital). Codes as published with GeoNames' postal codes (CC BY 4.0).
"""

from __future__ import annotations

from itertools import accumulate
from random import Random
from typing import Final, NamedTuple


class Place(NamedTuple):
    """A place and the range of its postal codes."""

    commune: str
    name: str
    first: int
    last: int
    thousands: float
    country: str = "LU"


COMMUNES: Final[tuple[Place, ...]] = (
    Place("Luxembourg", "Luxembourg", 1111, 2764, 135),
    Place("Esch-sur-Alzette", "Esch-sur-Alzette", 4001, 4380, 37),
    Place("Differdange", "Differdange", 4501, 4693, 17),
    Place("Differdange", "Niederkorn", 4643, 4686, 7),
    Place("Differdange", "Oberkorn", 4504, 4592, 5),
    Place("Dudelange", "Dudelange", 3401, 3598, 22),
    Place("Pétange", "Pétange", 4702, 4786, 9),
    Place("Pétange", "Rodange", 4801, 4853, 7),
    Place("Pétange", "Lamadelaine", 4870, 4895, 5),
    Place("Sanem", "Belvaux", 4401, 4491, 9),
    Place("Sanem", "Soleuvre", 4405, 4494, 9),
    Place("Hesperange", "Howald", 1216, 1232, 6),
    Place("Hesperange", "Alzingen", 5815, 5896, 4),
    Place("Hesperange", "Hesperange", 5801, 5893, 3),
    Place("Hesperange", "Itzig", 5942, 5978, 2),
    Place("Bettembourg", "Bettembourg", 3201, 3290, 11),
    Place("Schifflange", "Schifflange", 3801, 3885, 11),
    Place("Käerjeng", "Bascharage", 4901, 4959, 8),
    Place("Käerjeng", "Hautcharage", 4910, 4969, 2.5),
    Place("Kayl", "Kayl", 3601, 3682, 5),
    Place("Kayl", "Tétange", 3761, 3790, 4.5),
    Place("Mamer", "Mamer", 8201, 8273, 8),
    Place("Mamer", "Capellen", 8301, 8348, 2),
    Place("Strassen", "Strassen", 8001, 8056, 10.5),
    Place("Bertrange", "Bertrange", 8041, 8096, 8.5),
    Place("Mersch", "Mersch", 7501, 7573, 10),
    Place("Ettelbruck", "Ettelbruck", 9040, 9094, 9.8),
    Place("Walferdange", "Bereldange", 7201, 7268, 4.5),
    Place("Walferdange", "Helmsange", 7210, 7270, 4),
    Place("Junglinster", "Junglinster", 6101, 6149, 8.5),
    Place("Wiltz", "Wiltz", 9501, 9578, 7.6),
    Place("Diekirch", "Diekirch", 9201, 9294, 7.3),
    Place("Mondercange", "Mondercange", 3901, 3945, 7),
    Place("Niederanven", "Senningerberg", 1239, 1245, 6.5),
    Place("Kehlen", "Kehlen", 8274, 8295, 3.5),
    Place("Kehlen", "Olm", 8312, 8344, 3),
    Place("Rumelange", "Rumelange", 3701, 3755, 5.7),
    Place("Echternach", "Echternach", 6401, 6499, 5.7),
    Place("Mondorf-les-Bains", "Mondorf-les-Bains", 5601, 5659, 5.6),
    Place("Steinfort", "Steinfort", 8401, 8453, 5.6),
    Place("Steinsel", "Steinsel", 7302, 7347, 5.5),
    Place("Clervaux", "Clervaux", 9701, 9715, 6),
    Place("Mertert", "Wasserbillig", 6601, 6655, 5),
    Place("Grevenmacher", "Grevenmacher", 6701, 6796, 5.1),
    Place("Schengen", "Remerschen", 5439, 5441, 5.1),
    Place("Lorentzweiler", "Lorentzweiler", 7350, 7384, 4.5),
    Place("Contern", "Contern", 5310, 5326, 4.4),
    Place("Dippach", "Schouweiler", 4994, 4999, 4.4),
    Place("Kopstal", "Bridel", 8116, 8167, 4),
    Place("Remich", "Remich", 5501, 5577, 4),
    Place("Sandweiler", "Sandweiler", 5201, 5256, 3.7),
    Place("Troisvierges", "Troisvierges", 9901, 9913, 3.6),
    Place("Bissen", "Bissen", 7760, 7796, 3.4),
    Place("Lintgen", "Lintgen", 7440, 7458, 3.4),
    Place("Larochette", "Larochette", 7601, 7634, 2.2),
    Place("Leudelange", "Leudelange", 3345, 3377, 2.9),
    Place("Habscht", "Eischen", 8460, 8480, 2.5),
    Place("Colmar-Berg", "Colmar-Berg", 7701, 7750, 2.3),
    Place("Schieren", "Schieren", 9115, 9137, 2.2),
    Place("Vianden", "Vianden", 9401, 9426, 2.2),
    Place("Redange", "Redange-sur-Attert", 8506, 8512, 3),
    Place("Rambrouch", "Rambrouch", 8801, 8806, 4.8),
    Place("Betzdorf", "Roodt-sur-Syre", 6910, 6921, 4.3),
    Place("Parc Hosingen", "Hosingen", 9801, 9836, 4),
    Place("Wormeldange", "Wormeldange", 5480, 5483, 3.1),
    Place("Beaufort", "Beaufort", 6310, 6316, 3),
    Place("Beckerich", "Beckerich", 8521, 8523, 2.7),
    Place("Mertzig", "Mertzig", 9166, 9170, 2.4),
    Place("Weiswampach", "Weiswampach", 9990, 9994, 2.4),
    Place("Berdorf", "Berdorf", 6550, 6562, 2.2),
)

ACROSS: Final[tuple[Place, ...]] = (
    Place("Thionville", "Thionville", 57100, 57100, 40, "FR"),
    Place("Hettange-Grande", "Hettange-Grande", 57330, 57330, 8, "FR"),
    Place("Audun-le-Tiche", "Audun-le-Tiche", 57390, 57390, 7, "FR"),
    Place("Longwy", "Longwy", 54400, 54400, 15, "FR"),
    Place("Villerupt", "Villerupt", 54190, 54190, 10, "FR"),
    Place("Metz", "Metz", 57000, 57000, 30, "FR"),
    Place("Arlon", "Arlon", 6700, 6700, 30, "BE"),
    Place("Bastogne", "Bastogne", 6600, 6600, 12, "BE"),
    Place("Messancy", "Messancy", 6780, 6780, 8, "BE"),
    Place("Trier", "Trier", 54290, 54296, 25, "DE"),
    Place("Bitburg", "Bitburg", 54634, 54634, 8, "DE"),
    Place("Perl", "Perl", 66706, 66706, 6, "DE"),
)

STREETS: Final[tuple[str, ...]] = (
    "rue de la Gare", "rue Principale", "Grand-Rue", "rue de l'Église", "rue des Champs", "rue du Moulin",
    "route de Luxembourg", "rue des Prés", "rue de l'École", "rue du Cimetière", "rue Belle-Vue", "rue des Jardins",
    "rue du Bois", "route d'Esch", "rue de la Forêt", "cité Um Kapp", "op der Knupp", "rue des Tilleuls",
    "rue de la Montagne", "an der Gaass", "rue du Brill", "rue des Romains", "rue du X Octobre", "am Duerf",
)  # fmt: skip


class Homes:
    """Draws places by how many people live there."""

    def __init__(self, places: tuple[Place, ...]) -> None:
        self._places = places
        self._sums = list(accumulate(place.thousands for place in places))

    def one(self, random: Random) -> Place:
        return random.choices(self._places, cum_weights=self._sums)[0]


AT_HOME: Final = Homes(COMMUNES)
ABROAD: Final = Homes(ACROSS)


def postal_code(place: Place, random: Random) -> str:
    """A code of this place as it is written on letters."""
    code = random.randint(place.first, place.last)
    return f"L-{code}" if place.country == "LU" else str(code)
