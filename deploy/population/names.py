"""The names of Luxembourg's communities, most frequent first, and how the long tail of rare ones is composed.

Facts leaned on: the telephone book of 2009 holds some 36,000 family names; Schmit, the most frequent, is one entry in a
hundred, Muller, Weber, Wagner and Hoffmann follow; da Silva comes 42nd, Rodrigues, Ferreira, dos Santos and Pereira
before the 70th (Luxemburger Familiennamenbuch, as reported in the press). Between such anchors the frequencies follow
Zipf's law flattened at its head, w(rank) = 1 / (rank + 4) ** slope, as family names do everywhere.
"""

from __future__ import annotations

from bisect import bisect
from itertools import accumulate
from random import Random
from typing import Final

OLD_NAMES_UNTIL: Final = 1968
"""Births up to this year draw from the first list of first names, later ones from the second."""


class Drawn:
    """Words drawn by their rank: the first is the most frequent."""

    def __init__(self, words: str, slope: float = 0.8, flat: float = 4) -> None:
        self.words = [word.replace("_", " ") for word in words.split()]
        self._sums = list(accumulate((rank + flat) ** -slope for rank in range(len(self.words))))

    def one(self, random: Random) -> str:
        return self.words[bisect(self._sums, random.random() * self._sums[-1])]


class Tail:
    """Rare names composed of a beginning, often a middle, and an ending: tens of thousands that look like home."""

    def __init__(self, beginnings: str, middles: str, endings: str) -> None:
        self._beginnings = Drawn(beginnings, 0.4)
        self._middles = ["", "", *middles.split()]
        self._endings = Drawn(endings, 0.4)

    def one(self, random: Random) -> str:
        return self._beginnings.one(random) + random.choice(self._middles) + self._endings.one(random)


class Families:
    """The family names of one community: `known` for the head of the list, the rest composed."""

    def __init__(self, head: Drawn, known: float, tail: Tail) -> None:
        self._head, self._known, self._tail = head, known, tail

    def one(self, random: Random) -> str:
        return self._head.one(random) if random.random() < self._known else self._tail.one(random)


LUXEMBOURGISH = Families(
    Drawn(
        "Schmit Muller Weber Wagner Hoffmann Thill Schmitz Schroeder Reuter Klein Becker Kieffer Kremer Faber Meyer"
        " Schneider Simon Weis Schiltz Welter Hansen Majerus Ries Meyers Kayser Krier Steffen Braun Wagener Diederich"
        " Biver Thoma Thinnes Mathieu Lentz Peters Feltgen Even Konsbruck Theisen Scholtes Wolff Goergen Koch Weiler"
        " Wirtz Jung Klees Bauer Pauly Barthel Bertemes Bintz Birel Blum Boever Clement Colling Decker Dondelinger"
        " Engel Ensch Erpelding Ewen Fischbach Fischer Flammang Flies Frantz Frising Gaasch Gales Gengler Gillen"
        " Goedert Goerens Goebel Greisch Gross Grethen Hames Hary Haas Heinen Heintz Hemmer Hengen Hentges Hermes"
        " Heuschling Hilger Hoscheid Huberty Jacobs Jacoby Johanns Juncker Kaiser Kass Kauffmann Kemp Ketter Kinnen"
        " Kirsch Kohn Kohl Kohnen Kraus Kugener Lamesch Lorang Lux Ludwig Lucas Mangen Marx Mertens Mersch Metz Michels"
        " Molitor Mousel Nickels Nilles Noesen Olinger Origer Oberweis Pesch Petry Pierret Pütz Raus Reding Reiffers"
        " Reiter Risch Ruppert Sauber Schaack Schaul Schaus Schiltges Schlesser Schleck Schumacher Schuster Schuller"
        " Schwartz Seil Speltz Spautz Stoffel Streff Stumper Theis Thommes Trausch Turmes Urbany Wampach Weyland"
        " Weydert Weyrich Wiltgen Wilmes Wies Wolter Zeimes Zimmer",
        0.9,
        8,
    ),
    0.5,
    Tail(
        "Alt Bar Ber Bie Bir Bou Brau Bre Bru Cles Dau Del Die Dos Eich Els Fal Feid Feld Fran Gan Gei Gil Gla Gra"
        " Gro Ham Har Hei Hel Hert Hol Hos Kai Kall Kar Kel Kie Kip Kna Kol Kon Krie Lam Lau Lei Lin Los Lud Mai Man"
        " Mar Mau Mei Mer Mil Mo Neu Neys Nie Ober Ol Pau Pel Pin Poos Rau Rei Ren Rie Ro Sau Schan Schee Schil Schle"
        " Schoo Schra Schwei Sie Sou Spa Stei Sti Stre Thei Tho Tri Uns Wal War Wei Wel Wie Wil Wolt Zan Zie",
        "de den der ge ken len ler ling men nen ner ren schen sen ter",
        "s ler ner mann mes ert er tgen ges ch lt n ns rt sch ss st ter tz tzer weiler bach feld hoff inger ingen ang"
        " ard en eck es ig ich us y",
    ),
)
PORTUGUESE = Families(
    Drawn(
        "da_Silva Rodrigues Ferreira dos_Santos Pereira Fernandes Martins Gonçalves Lopes da_Costa Gomes Alves Ribeiro"
        " de_Oliveira Carvalho Pinto de_Sousa Teixeira Marques de_Almeida Dias Mendes Soares Moreira Monteiro Correia"
        " Cardoso Vieira Nunes Silva Santos Costa Ramos Coelho Tavares Cunha Barbosa Rocha Antunes Duarte Lourenço"
        " Machado Araújo Freitas Cruz Pires Reis Simões Miranda Barros Fonseca Matos Azevedo Magalhães Andrade Neves"
        " Campos Figueiredo Henriques Esteves Borges Morais Guerreiro Guimarães Sequeira Baptista Vaz Delgado Évora"
        " Semedo Varela Furtado Tomás Leite Nogueira Cabral Brito Salgueiro Peixoto Loureiro Bento Abreu Domingues"
        " Amaral Pacheco Sampaio Leal Branco Queirós Paiva Mota",
        1.0,
        5,
    ),
    0.93,
    Tail(
        "Al Am Bar Bel Cal Cam Car Cas Coe Fer Fi Gou Lei Ma Mei Mon Mou Nei Pe Pi Por Que Ri Sal Sei Ta Tei Va Ven Vi",
        "ba ca da la ma na ra ri ta ve",
        "nho lho reira reiro ções ão ndo deira leiro rinha rro lha gal xe",
    ),
)
FRENCH = Families(
    Drawn(
        "Martin Bernard Dubois Thomas Robert Richard Petit Durand Leroy Moreau Simon Laurent Lefebvre Michel Garcia"
        " David Bertrand Roux Vincent Fournier Morel Girard André Lefèvre Mercier Dupont Lambert Bonnet François"
        " Martinez Schmitt Muller Klein Becker Weber Jacquot Colin Mathieu Henry Humbert Antoine Noël Gérard Perrin"
        " Marchal Thiébaut Poirot Didier Claude Collin Hoffmann Meyer Schneider Wagner Legrand Garnier Faure Rousseau"
        " Blanc Guérin Boyer Chevalier Masson Barbier Brun Roche Giraud Renard Arnaud Gaillard Leclerc Lemoine Picard"
        " Benoît Dumont Hubert Renaud Aubert Étienne Parisot Maréchal Pierron Kieffer Bastien Adam Hannequin Géhin"
        " Jeanmaire",
        0.9,
        5,
    ),
    0.45,
    Tail(
        "Ar Au Bar Bau Ber Bel Blan Bo Bou Bri Cha Char Chau Cor Cour Dau Del Des Do Du Fau Fon Fro Gau Ger Gil Gran"
        " Gué Hur Jac La Lam Le Li Lo Lou Mail Mal Mar Mau Mer Mon Mou Nau Pel Per Pi Pou Pré Ra Re Ro Rou Sa Sau Tho"
        " Tou Va Val Ver Vi Vin",
        "ba che co de ge la li ma mi ne ni que ri ro sse ti vi",
        "r rd rt t ud ux lle llon lin ner nier net not n sson ssard tier ton tel tte ville court mont dot gnon chet"
        " cher et eau",
    ),
)
GERMAN = Families(
    Drawn(
        "Müller Schmidt Schneider Fischer Weber Meyer Wagner Becker Schulz Hoffmann Schäfer Koch Bauer Richter Klein"
        " Wolf Schröder Neumann Schwarz Zimmermann Braun Krüger Hofmann Hartmann Lange Schmitt Werner Schmitz Krause"
        " Meier Lehmann Köhler Herrmann König Walter Mayer Huber Kaiser Fuchs Peters Lang Scholz Möller Weiß Jung"
        " Hahn Keller Vogel Schubert Roth Frank Winkler Thiel Lorenz Baumann Böhm Schuster Krämer Jäger Kühn Groß"
        " Engel Horn Schreiner Thome Backes Zender Thielen Görgen Weires Hein Marx Thewes Schütz Brück Quint"
        " Wallerath Steffes",
        0.9,
        5,
    ),
    0.5,
    Tail(
        "Al Bach Bä Ber Bir Blu Brei Bü Dör Eber Eich Fei Fel Frie Für Geb Gei Göb Grü Gut Ha Hei Her Hil Hol Hö Ka"
        " Kas Kö Krei Kü Lau Lei Lie Lö Mau Mei Mül Neu Nie Ober Ort Pau Pfei Rei Rie Rö Rü Sau Schlü Schö Schwei Sei"
        " Stei Stö Tre Ul Wal Wei Wie Wil Zie",
        "de den der ge gel len ler nen ner ren sel ten",
        "r rs mann ner ler berg burg dorf feld hauer bach meier stein thal ing ert ke ch ck lt n schke tz",
    ),
)
ITALIAN = Families(
    Drawn(
        "Rossi Russo Ferrari Esposito Bianchi Romano Colombo Ricci Marino Greco Bruno Gallo Conti De_Luca Mancini Costa"
        " Giordano Rizzo Lombardi Moretti Barbieri Fontana Santoro Mariani Rinaldi Caruso Ferrara Galli Martini Leone"
        " Longo Gentile Martinelli Vitale Pellegrini Di_Bartolomeo Sabatini Bernardini Fabbri Biagi D'Angelo D'Amico"
        " Di_Marco Del_Fabbro Della_Schiava Castellani Luzi Pizzaferri Tarducci Bartolini Agostini Cardoni Felicetti",
        0.9,
        5,
    ),
    0.45,
    Tail(
        "Ba Bar Be Bel Ber Bo Bra Cal Ca Ce Cor Cri Do Fa Fe Fio Ga Ge Gia Gri La Lo Lu Ma Man Mar Mo Mon Na Ne Or Pa"
        " Pe Pic Po Ra Ri Ro Sal San Sca Se Spa Ta To Tra Va Ven Vi Zam",
        "ba ca che co di go la li lo ma mo na ne ra ri ro sa te ti va",
        "ni ri ro no tti tto lli llo zzi ssi cci gni ldi nti rdi sco tore nelli netti lini",
    ),
)
OTHER = Families(
    Drawn(
        "Peeters Janssens Dubois Lambert Maes Jacobs Dupont Willems Simon Leclercq Claes Goossens Wouters De_Smet"
        " Van_den_Berg Van_Damme García López Martínez Sánchez Fernández Popović Hodžić Ramdedović Adrović Muratović"
        " Kowalski Nowak Popescu Ionescu Smith Jones Murphy Singh Kumar Nguyen Chen Wang Ahmed Hassan Traoré Diallo",
        0.6,
        8,
    ),
    0.35,
    Tail(
        "A Ba Be Bo Da De Di Do Du E Fa Fi Ga Go Gu Ha He Ho Hu I Ja Jo Ka Ke Ki Ko Ku La Le Li Lo Lu Ma Me Mi Mo Mu Na"
        " Ne Ni No Nu O Pa Pe Po Ra Re Ri Ro Ru Sa Se Si So Su Ta Te Ti To Tu Va Ve Vi Vo Wa Wi Ya Za Ze Zi Zo",
        "ba be bi bra da di dri ga go ha ja ji ka ko la li lo ma mi na ni no ra ri ro sa shi ta ti va vi ya za",
        "ck ers ez ić in ković la man med mi n ne nov ov ova pour ra rs s ski ssen st th ti vić wa y zadeh scu",
    ),
)


# Men's and women's first names: of births up to OLD_NAMES_UNTIL, and of later ones.
LUXEMBOURGISH_FIRST = {
    "M": (
        Drawn(
            "Jean Pierre Joseph Nicolas Marcel François Paul René Camille Henri Michel Georges Robert Fernand Roger"
            " Guy Jean-Pierre Raymond Emile Norbert Charles Victor Albert Romain Aloyse Marc Jos Claude Mathias Gaston"
            " Edouard Edmond Léon Ernest Jacques Carlo Armand Gilbert Alphonse Théodore Lucien Nico Eugène Josy Arthur"
            " Jang Johny Metty Erny Bernard Gérard Jules Guillaume Antoine Jean-Claude Ferdinand Pit Fränk"
        ),
        Drawn(
            "Luca Tom Marc Daniel Ben Max David Michel Paul Felix Noah Luc Christian Tim Philippe Laurent Charel Pol"
            " Alex Gilles Yves Jeff Steve Sven Patrick Claude Thierry Serge Mike Kevin Pit Joé Sam Louis Liam Jean"
            " Jérôme Raphaël Ralph Gabriel Eric Théo Matteo Leo Olivier Christophe Frank Alain Pascal Nicolas Mathis"
            " Jacques Joe Kim Lenny Oskar Mats Finn Hugo Jérémy Loris Thomas Georges Gaston Julien Tun Jempi Léon"
            " Emil"
        ),
    ),
    "F": (
        Drawn(
            "Marie Catherine Anne Marguerite Josée Jeanne Elise Suzanne Maria Germaine Irène Yvonne Margot Léonie"
            " Josette Marie-Louise Marie-Thérèse Thérèse Barbe Hélène Juliette Madeleine Nicole Lucie Marie-Josée"
            " Cathérine Anna Victorine Louise Triny Mariette Ketty Monique Marianne Nelly Georgette Simone Christiane"
            " Liliane Andrée Denise Yolande Milly Jacqueline Gaby Alice Sylvie Félicie Elisabeth Marie-Anne Josiane"
            " Berthe"
        ),
        Drawn(
            "Anne Lara Emma Sarah Laura Julie Lea Lisa Michèle Nathalie Martine Claudine Danielle Sandra Christiane"
            " Mia Sophie Catherine Caroline Tania Manon Jil Chantal Carole Nadine Myriam Anouk Charlotte Joëlle"
            " Patricia Stéphanie Isabelle Véronique Zoé Amy Lena Luna Elena Maya Annick Tessy Corinne Fabienne Sandy"
            " Monique Diane Jenny Kim Lynn Nora Clara Elisa Liz Melanie Pascale Cathy Christine Viviane Béatrice"
            " Marie Mathilde Lou"
        ),
    ),
}
PORTUGUESE_FIRST = {
    "M": (
        Drawn(
            "José António Manuel João Joaquim Carlos Francisco Luís Fernando Américo Armando Domingos Augusto Adelino"
        ),
        Drawn(
            "João José Carlos Paulo Luís Pedro Rui Miguel Nuno Tiago António Manuel Ricardo David Bruno Daniel André"
            " Diogo Rafael Filipe Hugo Sérgio Jorge Fábio Gonçalo Lucas Rodrigo Gabriel Mário Fernando Marco Vítor"
            " Leandro Tomás Kevin Dylan Samuel Duarte Afonso Martim Alexandre Francisco Cristiano Hélder Nélson"
        ),
    ),
    "F": (
        Drawn(
            "Maria Ana Rosa Isabel Deolinda Fernanda Teresa Alice Lurdes Emília Conceição Fátima Celeste Glória"
            " Maria_de_Fátima Maria_da_Conceição Maria_de_Lurdes Maria_José Maria_do_Carmo Adelaide"
        ),
        Drawn(
            "Maria Ana Sandra Carla Paula Sofia Isabel Cristina Inês Mariana Beatriz Catarina Patrícia Susana Andreia"
            " Sara Joana Cátia Sónia Tânia Vânia Daniela Diana Marta Helena Mónica Lara Letícia Jéssica Matilde"
            " Carolina Filipa Bruna Rafaela Vanessa Elisabete Fátima Lurdes Teresa Alice Leonor Cláudia Olívia"
            " Liliana Vera"
        ),
    ),
}
FRENCH_FIRST = {
    "M": (
        Drawn(
            "Jean Michel Pierre André Jacques Bernard Claude Daniel Gérard Alain René Roger Robert Jean-Pierre Marcel"
            " Guy Christian Jean-Claude Patrick Philippe Georges Henri Francis Gilbert Serge Raymond Jean-Marie"
            " Maurice"
        ),
        Drawn(
            "Nicolas Julien Thomas Alexandre Sébastien Christophe Frédéric David Laurent Olivier Stéphane Éric Pascal"
            " Jérôme Guillaume Kevin Maxime Antoine Romain Vincent Lucas Hugo Mathieu Arnaud Fabrice Cédric Benjamin"
            " Florian Anthony Clément Louis Enzo Jules Arthur Nathan Gabriel Raphaël Théo Léo Mickaël Philippe"
            " Jean-François"
        ),
    ),
    "F": (
        Drawn(
            "Marie Monique Françoise Jacqueline Nicole Michèle Jeanne Christiane Marie-Thérèse Annie Denise Danielle"
            " Yvette Suzanne Colette Bernadette Simone Odile Marie-Claude Ginette Évelyne Martine Marie-Claire Brigitte"
        ),
        Drawn(
            "Isabelle Nathalie Sandrine Céline Stéphanie Julie Aurélie Virginie Émilie Camille Laura Sophie Véronique"
            " Catherine Valérie Sylvie Marie Pauline Audrey Karine Delphine Laetitia Chloé Manon Marine Léa Emma"
            " Élodie Mathilde Lucie Anaïs Charlotte Clara Inès Jade Louise Anne-Sophie Christelle Caroline Hélène"
            " Mélanie Sabine"
        ),
    ),
}
GERMAN_FIRST = {
    "M": (
        Drawn(
            "Hans Peter Karl Heinz Günter Werner Wolfgang Klaus Josef Horst Franz Helmut Walter Manfred Gerhard"
            " Karl-Heinz"
        ),
        Drawn(
            "Thomas Michael Andreas Stefan Christian Markus Martin Daniel Alexander Jan Sebastian Tobias Florian"
            " Matthias Jens Jörg Frank Ralf Oliver Lukas Felix Leon Paul Jonas Maximilian Philipp Björn Uwe Dirk"
            " Holger Jürgen"
        ),
    ),
    "F": (
        Drawn(
            "Ursula Maria Elisabeth Helga Renate Gisela Ingrid Christa Anna Karin Hildegard Monika Gerda Brigitte Käthe"
        ),
        Drawn(
            "Sabine Susanne Andrea Petra Claudia Nicole Stefanie Katrin Julia Anna Christina Melanie Sandra Anja Lena"
            " Laura Lisa Katharina Sarah Jana Marie Hannah Birgit Heike Martina Jutta Ute Silke Tanja Daniela"
            " Jacqueline Sophie"
        ),
    ),
}
ITALIAN_FIRST = {
    "M": (
        Drawn(
            "Giuseppe Antonio Mario Giovanni Luigi Francesco Angelo Vincenzo Bruno Franco Sergio Nello Remo Gino Aldo"
        ),
        Drawn(
            "Marco Alessandro Andrea Luca Matteo Francesco Davide Stefano Paolo Roberto Simone Fabio Lorenzo Giovanni"
            " Leonardo Riccardo Massimo Claudio Daniele Enzo Fabrizio Nicolò Filippo Tommaso Emanuele"
        ),
    ),
    "F": (
        Drawn("Maria Anna Rosa Giuseppina Angela Giovanna Teresa Lucia Carmela Caterina Ida Elda Ines Bruna"),
        Drawn(
            "Laura Francesca Chiara Giulia Valentina Paola Silvia Elena Federica Sara Alessandra Roberta Martina Monica"
            " Sofia Barbara Simona Daniela Cristina Michela Aurora Giorgia Alice Claudia"
        ),
    ),
}
OTHER_FIRST = {
    "M": (
        Drawn(
            "Jan Jozef Willy Luc Etienne Manuel Antonio Petar Stanisław Ion John William Mohamed Ibrahim Slobodan"
            " Pieter"
        ),
        Drawn(
            "Mohamed Adam Ali Amar Emir Denis Jasmin Thomas James Daniel Pablo Javier Alejandro Nikola Marko Piotr"
            " Andrei Alexandru Arjun Wei Omar Youssef Mehmet Ivan Stefan Pieter Bart Wouter Nicolas Maxime Amadou"
            " Ibrahima Yusuf"
        ),
    ),
    "F": (
        Drawn("Maria Anna Carmen Josefa Ivana Jelena Elena Margaret Mary Fatima Aisha Godelieve Monique Stana Ljubica"),
        Drawn(
            "Fatima Amina Emina Selma Amra Jasmina Elma Maria Elena Ana Olga Irina Andreea Priya Mei Sarah Emily Lucía"
            " Sofía Paula Katarzyna Agnieszka Magdalena Julie Sophie An Els Lien Aïcha Mariam Awa Zeynep Elif Dženana"
        ),
    ),
}
