"""Names as a comparison reads them: words without particles, how they sound, and which first names are one name.

Luxembourg writes its people's names in French, German, Portuguese and Luxembourgish, and the same person's name by each
of these habits in turn. Here such habits are taken out; what is left over is a difference. Pure; results are kept in
bounded memories, because a few thousand names make up most of a search.
"""

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from services.directory.rules import fold


def _words(*lines: str) -> frozenset[str]:
    return frozenset(" ".join(lines).split())


PARTICLES: Final = _words(
    "a af al aux d da dal das de degli dei del della den der des di do dos du e el het l la las le les li lo los op s",
    "t te ten ter the van vom von vun y zu zum zur",
)
"""Words that come and go in front of a name or between two, never at its end: they tell nobody from anybody."""

SOUNDS: Final[tuple[tuple[str, str], ...]] = (
    (r"ph", "f"),  # Philippe, Filipe
    (r"(?<=n)c(?=alv|o$)", "s"),  # Gonçalves, Lourenço once the cedilla is lost
    (r"(?<!s)ch(?=[rlt])|c[kq]|qu?|kh|c(?=[aoukrlt]|$)", "k"),  # Becker, Beker; Christine, Kristine; Jacques
    (r"t?sch|ch|sh|tz|ts|ks|[zxc]", "s"),  # Schmit, Chmit; Schmitz, Schmits; Marques, Marquez; Teixeira
    (r"dt|th|d$", "t"),  # Schmidt, Schmitt; Thill, Till
    (r"lh", "l"),  # Carvalho
    (r"nh|gn", "n"),  # Marinho, Marino
    (r"h", ""),
    (r"w", "v"),
    (r"eau", "o"),
    (r"ou|oo", "u"),
    (r"[ea][iy]", "e"),  # Meyer, Maier; Theis, Theys
    (r"([uoa])e", r"\1"),  # Mueller, Müller; Goedert, Gödert
    (r"ie|ij|[yj]", "i"),  # Wies, Wis; Yves, Ives
    (r"(.)\1+", r"\1"),  # Muller, Muler
    (r"(?<=..)e$", ""),  # Anne, Ann
)
"""What is written in more than one way and heard as one, in the order in which it is levelled."""

VARIANTS: Final[tuple[str, ...]] = (
    "jean jang jhang john johann johannes hans jan joao juan giovanni gianni ivan jeannot jeng jhemp jempi",
    "jeanne johanna joanna joana giovanna juana jeanny jenny jhanny jeannette",
    "joseph jos josy jhos jupp josef jose giuseppe pepe josip sepp",
    "josephine josee josiane josette josefine josefa josefina fina josy",
    "pierre pier pit peter pedro pietro piotr petar pitt peer piet",
    "pierrette petra petronella piera",
    "nicolas nicola nikolaus nic nico niki klaus claus neckel nikola nicolau niccolo nicky",
    "nicole nicoletta nicolette",
    "francois franz frenz franc francisco francesco frank chico frantz francis franck",
    "francoise franziska francisca francesca fanny fran",
    "michel misch michael mich miguel michele mike mischa miquel mihail mihai michi",
    "michele michelle micaela michaela mica",
    "guillaume wilhelm willy will william guilherme guglielmo willi wellem bill",
    "henri heinrich henrique enrico heng harry henry henrik heinz hary",
    "henriette henriqueta harriet jetty jett",
    "mathias matthias mett metty mathieu matthieu mateus matteo mathis matthew mats matt matheis tiis theis",
    "antoine anton tun antonio antonin anthony toni tony toin",
    "antoinette antonia antonietta toinette",
    "charles karl charel carlos carlo charly karel scharel",
    "charlotte carlota carlotta lotti lotty",
    "caroline karoline carolina lina carole karolina",
    "louis ludwig luis luigi lou ludovic lui lewis",
    "louise luise luisa loulou lulu",
    "jacques jakob jacob jacky jaak tiago jaime giacomo james jack",
    "philippe philipp filipe filippo phil felipe",
    "catherine katharina katrin catarina caterina kathy ketty cathy ketti kaethe kathrin katarina trinette ketchen",
    "marguerite margarethe margareta margarida margherita margot gretchen greta margret gret grete meg maggy",
    "elisabeth elisabete elisabetta elise lis lisa liz lisy elsa lisbeth isabel betty elizabeth bettina lizzy else",
    "marie maria mary mariechen marichen mia maryse miette mietty mimi",
    "anne anna ana anni anny annie ann annette anouk nanna",
    "helene helena elena leni leny lenny ellen hellen lena",
    "madeleine magdalena madalena maddalena lena mady madi made",
    "susanne suzanne susana susanna suzette suzy susi susan",
    "therese theresia teresa resi terese thesy threschen",
    "barbara baerbel barbe bar babette",
    "berthe berta bertha",
    "georges georg jorge giorgio george jorg jurgen schorsch",
    "paul pol paulo paolo pablo pal pavel",
    "paula pauline paulette paola paolina",
    "martin marti martinho martino mert",
    "etienne stephane stephan stefan stephen steven estevao stefano steve stef",
    "stephanie stefanie estefania stefania steffi steph",
    "alexandre alexander alessandro alex alexandros sacha sascha alejandro sandro",
    "alexandra alessandra alex sandra sascha",
    "laurent lorenz lorenzo lourenco laurenz",
    "laurence laura laure lara",
    "andre andreas andrea andres andrew andi andy andrei",
    "edouard eduard eduardo edward edy eddy edoardo",
    "ernest ernst ernesto erny erni",
    "robert rob roberto bob robby robbie rupert",
    "rene renato renatus",
    "renee renata renate",
    "roger rogerio ruggero rutger",
    "raymond raimund raimundo raimondo ray",
    "theodore theodor theo teodoro",
    "leon leo leonardo leonard leonhard",
    "leonie leona",
    "albert alberto bert berty adalbert aloyse",
    "aloyse alois aloysius luis wis wisi loys",
    "emile emil emilio mil",
    "emilie emilia emily mili milly",
    "eugene eugen eugenio jeng",
    "eugenie eugenia jenny",
    "frederic friedrich frederico federico fred freddy fritz fredy",
    "frederique friederike frederica federica",
    "benoit benedikt bento benedetto benedict",
    "bernard bernhard bernardo ben berny",
    "camille kamill camilo camillo",
    "christian christiano cristiano kristian chris",
    "christiane christine christina cristina kristina chris christel tina kristin",
    "christophe christoph cristovao christopher chris",
    "claude claudio claus",
    "claudine claudia claudette",
    "daniel daniele dan dany",
    "daniele daniela danielle dany",
    "denis dionisio dennis denys",
    "denise dionisia",
    "dominique dominik domingos domenico",
    "fernand fernando ferdinand ferd nand nando",
    "gabriel gabriele gaby",
    "gabrielle gabriele gabriela gaby gabriella",
    "gerard gerhard gerardo gert gerd gery",
    "gilbert gilberto",
    "gregoire gregor gregorio greg gregory",
    "guy guido",
    "hubert umberto humberto",
    "ignace ignacio inacio ignazio",
    "jules julio giulio julius jul",
    "julie julia giulia",
    "julien julian juliano giuliano",
    "leopold leopoldo pol",
    "luc lucas luca lukas luka",
    "lucie lucia lucy luzia",
    "marc marco marcos markus mark marcus",
    "marcel marcelo marcello",
    "maurice moritz mauricio maurizio mory",
    "nathalie natalie natalia nat",
    "patrick patricio pat patrizio",
    "patricia patrizia pat patty",
    "raphael rafael raffaele raf",
    "richard ricardo riccardo rick",
    "romain roman romano",
    "sebastien sebastian sebastiao sebastiano",
    "simon simao simone",
    "sophie sofia sophia",
    "sylvie silvia sylvia",
    "thomas tomas tom tommaso tomaz",
    "victor vitor vittorio viktor vic",
    "victoire victoria vitoria viktoria vicky",
    "vincent vicente vincenzo vinzenz",
    "yves ivo",
    "yvonne ivone yvette",
    "valerie valeria valery",
    "veronique veronika veronica vero",
    "virginie virginia",
    "monique monika monica moni",
    "adele adelaide adelheid heidi",
    "agnes ines agnese",
    "alice alix alicia",
    "germaine germana",
    "irene irena iren",
    "ursule ursula uschi ulla",
    "xavier javier xaver",
)
"""First names that stand for one another on papers and at the desk, short and pet forms included; a name may be in
several rows. Bearers differ, of course: the row makes two names likely to be one person's, never the same."""

WORDS_READ: Final = 8
"""A line of 120 letters can hold sixty words; names have fewer, and no pair may cost more than that."""


@dataclass(frozen=True, slots=True)
class Name:
    """A name taken apart. Particles are in `folded` and `squashed` only."""

    folded: str
    squashed: str
    words: tuple[str, ...]
    sorted_sounds: tuple[str, ...]
    heard: frozenset[str]
    core: str
    core_sound: str


def _rows() -> dict[str, frozenset[int]]:
    rows: dict[str, set[int]] = {}
    for place, row in enumerate(VARIANTS):
        for name in row.split():
            for spelling in (name, sound(name)):
                rows.setdefault(spelling, set()).add(place)
    return {name: frozenset(places) for name, places in rows.items()}


@lru_cache(maxsize=1 << 16)
def sound(word: str) -> str:
    """Returns how a folded word is heard, whichever of the country's spellings wrote it."""
    for pattern, heard in _COMPILED:
        word = pattern.sub(heard, word)
    return word


@lru_cache(maxsize=1 << 16)
def read_name(text: str) -> Name:
    """Returns a name taken apart; its last word is never a particle, so that an initial at the end stays one."""
    folded = fold(text)
    every = folded.split()
    words = _words_read(every)
    core = "".join(words)
    sounds = tuple(sound(word) for word in words)
    return Name(
        folded=folded,
        squashed="".join(every),
        words=words,
        sorted_sounds=tuple(sorted(sounds)),
        heard=frozenset(sounds),
        core=core,
        core_sound=sound(core),
    )


def words_of(text: str) -> tuple[str, ...]:
    """Returns the words of a name alone, as `read_name` has them, at a part of its cost."""
    return _words_read(fold(text).split())


def _words_read(every: list[str]) -> tuple[str, ...]:
    return (*(word for word in every[:-1] if word not in PARTICLES), *every[-1:])[:WORDS_READ]


@lru_cache(maxsize=1 << 16)
def variant_rows(first_name: str) -> frozenset[int]:
    """Returns the places in VARIANTS of a folded first name, none for a name that stands for itself only."""
    return _ROWS.get(first_name) or _ROWS.get(sound(first_name)) or frozenset()


_COMPILED = tuple((re.compile(pattern), heard) for pattern, heard in SOUNDS)
_ROWS: Final = _rows()
