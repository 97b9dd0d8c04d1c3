"""What the rules know of words, in their folded form (core/normalize.py). No table names an entry.

Longer than a rule should be, since a rule is better general than clever: each table is one idea.
"""

from __future__ import annotations

from collections.abc import Mapping


def _words(text: str) -> list[str]:
    return text.split()


def _spread(table: Mapping[str, str]) -> dict[str, str]:
    """{"a": "x y"} -> {"x": "a", "y": "a"}."""
    return {word: meaning for meaning, words in table.items() for word in _words(words)}


SILENT_LINKS = frozenset(
    _words(
        "of the and de du des la le les del della dello dei delle degli di da do dos das "
        "der dem des von vom zu zum zur und van den het ter ten al el"
    )
)
"""Inside a name these say nothing of their own; first or last they are part of it."""

LINKS = SILENT_LINKS | frozenset(_words("a an in at on for by et en au aux y e"))
"""Words that join others inside a name."""

GENITIVES = frozenset(
    _words("of de du des del della dello dei delle degli di da do dos das von vom van der")
)
"""Links that turn two parts round: "X of Y" is "Y X"."""

GENITIVES_ALONE = frozenset(_words("of de di von van"))
"""Those without an article in them."""

ARTICLES = frozenset(_words("le il lo gli der das het"))
"""First in a name these say nothing, but before a short word."""

ARTICLES_OF_PLACES = frozenset(_words("la el los las"))
"""Nor do these before several words, but where a place may begin with them: "El Oro Province"."""

COUNTED = frozenset(
    _words(
        "januar februar marz april mai juni juli august september oktober november dezember "
        "januari februari maart mei augustus oktober desember maj fc sc division weltkrieg "
        "mars kreuzzug symphonie sinfonie konzert akt satz buch mose gebot jahrhundert reich armee "
        "korps panzerdivision regiment klasse etage stock gang rang platz preis runde advent "
        "kongress bundestag bezirk arrondissement"
    )
)
"""Of which Germans, Dutch and Scandinavians write the second as "2."."""

COUNTED_ENDINGS = ("liga", "division", "divisjon", "armee", "konzert", "symphonie")

IRREGULAR_PLURALS = {
    "wolves": "wolf", "leaves": "leaf", "knives": "knife", "halves": "half", "calves": "calf",
    "loaves": "loaf", "thieves": "thief", "wives": "wife", "shelves": "shelf", "hooves": "hoof",
    "scarves": "scarf", "elves": "elf", "dwarves": "dwarf", "mice": "mouse", "geese": "goose",
    "teeth": "tooth", "children": "child", "oxen": "ox",
}  # fmt: skip

NUMBER_SIGNS = frozenset(_words("no nr num number numero nummer"))
"""Before a number."""

LEGAL_FORMS = frozenset(_words("corporation corp inc llc plc ltd gmbh ag sa"))
"""Behind the name of a company, as written without dots."""

LEGAL_FORMS_OF_NAMES = frozenset(_words("corporation corp inc"))
"""Behind one word these may be part of a title: "Monsters Inc."."""

HONORIFICS = frozenset(_words("sir dame doctor professor president"))
"""In front of a first name and a surname these say nothing of who it is; "Mrs." may, as her
husband has the same."""

ABBREVIATIONS = {
    "mt": "mount", "mtn": "mountain", "mts": "mountains", "ft": "fort",
    "ste": "sainte", "sta": "santa", "sto": "santo",
    "mr": "mister", "mrs": "missus", "prof": "professor",
    "capt": "captain", "lt": "lieutenant", "sgt": "sergeant", "gov": "governor", "rev": "reverend",
    "jr": "junior", "sr": "senior", "bros": "brothers", "corp": "corporation",
    "inc": "incorporated", "ltd": "limited", "univ": "university", "dept": "department",
    "natl": "national", "intl": "international", "assn": "association", "assoc": "association",
    "govt": "government", "blvd": "boulevard", "bldg": "building",
    "hwy": "highway", "rd": "road", "sq": "square", "ctr": "center", "vs": "versus",
    "vol": "volume", "feat": "featuring", "approx": "approximately",
}  # fmt: skip
"""Whole words alone, and only where more follows or stands before."""

FIRST_ABBREVIATIONS = {"st": "saint", "dr": "doctor"}
LAST_ABBREVIATIONS = {"st": "street", "dr": "drive", "ave": "avenue"}
INNER_ABBREVIATIONS = {"v": "versus"}
"""What stands for two words is told apart by its place."""

_BRITISH = """
colour color, favour favor, honour honor, labour labor, harbour harbor, neighbour neighbor,
flavour flavor, humour humor, rumour rumor, armour armor, behaviour behavior, odour odor,
vapour vapor, savour savor, tumour tumor, vigour vigor, splendour splendor, parlour parlor,
endeavour endeavor, saviour savior, mould mold, moult molt, plough plow, grey gray,
centre center, theatre theater, metre meter, litre liter, fibre fiber, calibre caliber,
spectre specter, sabre saber, sombre somber, lustre luster, kilometre kilometer,
defence defense, offence offense, licence license, pretence pretense,
analogue analog, catalogue catalog, dialogue dialog, monologue monolog, prologue prolog,
programme program, aluminium aluminum, sulphur sulfur, kerb curb,
jewellery jewelry, jeweller jeweler, traveller traveler, travelling traveling,
modelling modeling, labelling labeling, counsellor counselor, fulfil fulfill, enrol enroll,
skilful skillful, wilful willful, pyjamas pajamas, sceptic skeptic,
sceptical skeptical, artefact artifact, moustache mustache, manoeuvre maneuver,
mediaeval medieval, encyclopaedia encyclopedia, archaeology archeology, anaesthesia anesthesia,
haemoglobin hemoglobin, leukaemia leukemia, anaemia anemia, paediatrics pediatrics,
gynaecology gynecology, orthopaedic orthopedic, oestrogen estrogen, foetus fetus,
diarrhoea diarrhea, aeroplane airplane, aesthetics esthetics, whisky whiskey, yoghurt yogurt,
doughnut donut, judgement judgment, ageing aging, acknowledgement acknowledgment,
centimetre centimeter, millimetre millimeter, amphitheatre amphitheater, epicentre epicenter,
sceptre scepter, meagre meager, ochre ocher, cancelled canceled, fuelled fueled,
levelled leveled, marvellous marvelous, woollen woolen, instalment installment,
enrolment enrollment, fulfilment fulfillment, mollusc mollusk, omelette omelet, draught draft,
cosy cozy, likeable likable, sizeable sizable, moveable movable, axe ax, gaol jail, disc disk
"""
SPELLINGS = dict(_words(pair) for pair in _BRITISH.replace("\n", " ").split(","))
"""British -> American."""
SPELLING_STEMS = (
    ("colour", "color"), ("favour", "favor"), ("honour", "honor"), ("harbour", "harbor"),
    ("neighbour", "neighbor"), ("labour", "labor"), ("flavour", "flavor"), ("humour", "humor"),
    ("rumour", "rumor"), ("armour", "armor"), ("behaviour", "behavior"), ("savour", "savor"),
    ("vapour", "vapor"), ("odour", "odor"), ("sulph", "sulf"), ("haema", "hema"),
    ("haemo", "hemo"), ("paedi", "pedi"), ("gynaec", "gynec"), ("anaes", "anes"),
    ("archaeo", "archeo"), ("palaeo", "paleo"), ("orthopaed", "orthoped"),
    ("encyclopaed", "encycloped"), ("oesoph", "esoph"), ("oestro", "estro"), ("foet", "fet"),
    ("manoeuv", "maneuv"), ("amoeb", "ameb"), ("diarrhoe", "diarrhe"), ("leukaem", "leukem"),
    ("anaem", "anem"), ("aesthet", "esthet"), ("mediaev", "mediev"), ("aluminiu", "aluminu"),
)  # fmt: skip
"""British beginnings -> American ones, of words that go on in any way: "neighbourhood". Each has
one of SPELLING_SIGNS in it."""
SPELLING_SIGNS = ("our", "ae", "oe", "ulph", "iniu")
SPELLING_ENDINGS = (
    ("isation", "ization"), ("isations", "izations"), ("ising", "izing"), ("ised", "ized"),
    ("yse", "yze"), ("ysed", "yzed"), ("ysing", "yzing"),
)  # fmt: skip
"""Of words of at least eight letters."""

_UNITS_AND_TEENS = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen "
    "fifteen sixteen seventeen eighteen nineteen twenty"
)
NUMBER_WORDS = {
    **{word: str(value) for value, word in enumerate(_words(_UNITS_AND_TEENS))},
    "thirty": "30", "forty": "40", "fifty": "50", "sixty": "60", "seventy": "70", "eighty": "80",
    "ninety": "90", "hundred": "100", "thousand": "1000",
}  # fmt: skip
_ORDINALS = (
    "first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth thirteenth "
    "fourteenth fifteenth sixteenth seventeenth eighteenth nineteenth twentieth"
)
ORDINAL_WORDS = {word: value for value, word in enumerate(_words(_ORDINALS), 1)}
"""Their values, as numbers that names differ by."""

_KINDS = {
    "museum": "museum musee museo museu muzeum muzej",
    "gallery": "gallery galerie galleria galeria",
    "center": "center centre centro zentrum centrum",
    "garden": "garden jardin giardino jardim garten",
    "park": "park parc parque parco",
    "tower": "tower torre turm toren",
    "building": "building edificio gebaude batiment",
    "palace": "palace palais palazzo palacio palast paleis",
    "castle": "castle castillo castello kasteel",
    "chateau": "chateau schloss",
    "church": "church eglise iglesia chiesa kirche kerk",
    "cathedral": "cathedral cathedrale catedral cattedrale kathedrale duomo",
    "basilica": "basilica basilique",
    "chapel": "chapel chapelle capilla cappella kapelle",
    "abbey": "abbey abbaye abadia abbazia abtei",
    "monastery": "monastery monastere monasterio monastero kloster",
    "mosque": "mosque mosquee mezquita moschea moschee",
    "temple": "temple templo tempio tempel",
    "cemetery": "cemetery cimetiere cementerio cimitero friedhof",
    "library": "library bibliotheque biblioteca bibliothek",
    "theater": "theater theatre teatro",
    "station": "station gare estacion stazione bahnhof",
    "airport": "airport aeroport aeropuerto aeroporto flughafen",
    "square": "square plaza piazza platz plein praca",
    "street": "street rue calle strasse straat rua",
    "avenue": "avenue avenida",
    "boulevard": "boulevard bulevar",
    "bridge": "bridge pont puente ponte brucke brug",
    "market": "market marche mercado mercato markt",
    "school": "school ecole escuela scuola schule",
    "college": "college",
    "university": "university universite universidad universita universitat universidade",
    "institute": "institute institut instituto istituto",
    "hospital": "hospital hopital ospedale krankenhaus",
    "stadium": "stadium stade estadio stadio stadion",
    "hotel": "hotel",
    "mount": "mount mont monte",
    "mountain": "mountain montagne montanha gebirge",
    "hill": "hill colline colina collina hugel",
    "valley": "valley vallee valle",
    "river": "river riviere fiume fluss rivier",
    "lake": "lake lac lago",
    "ocean": "ocean oceano",
    "bay": "bay baie bahia baia bucht",
    "gulf": "gulf golfe golfo",
    "island": "island ile isla isola insel ilha",
    "beach": "beach plage playa spiaggia praia",
    "desert": "desert",
    "forest": "forest foret bosque foresta wald",
    "waterfall": "waterfall cascade cascata wasserfall",
    "glacier": "glacier",
    "cave": "cave grotte cueva grotta",
    "volcano": "volcano volcan vulcano",
    "city": "city ville ciudad citta stadt",
    "town": "town",
    "village": "village",
    "shi": "shi shih si",
    "ku": "ku",
    "osh": "osh",
    "district": "district quartier distrito distretto bezirk arrondissement",
    "province": "province provincia provinz",
    "republic": "republic republique republica repubblica republik",
    "kingdom": "kingdom royaume reino regno konigreich",
    "battle": "battle bataille batalla battaglia schlacht",
    "treaty": "treaty traite tratado trattato",
    "tragedy": "tragedy",
    "statement": "theorem rule law principle formula equation lemma identity inequality",
    "method": "method algorithm procedure technique",
    "disease": "disease syndrome disorder",
}
KINDS = _spread(_KINDS)
"""Words for what kind of thing a name names -> the kind. Of each kind one word a language, so that
two that differ are translations; words that mean something else elsewhere are left out."""

DESCRIPTIONS = frozenset(
    _words(
        "corporation incorporated limited company group holdings foundation association society "
        "organization federation motor software database framework library programming computer "
        "language game video series television film movie novel book play opera song album band "
        "orchestra cheese bread wine beer sauce dish dessert cabaret restaurant cafe shop store "
        "dog cat horse cattle bird parrot fish snake lizard spider insect whale shark monkey "
        "dinosaur plant tree flower fruit vegetable satellite spacecraft rocket telescope aircraft "
        "airplane airliner jet car automobile ship warship national nacional nazionale federal "
        "historic supersonic nature natural wildlife reserve preserve monument memorial ruin ruins "
        "race cycling archaeological archeological site area region state county prefecture "
        "oblast governorate "
        "football soccer club team fc cf"
    )
)
"""Further words for what a thing is, as a name is at times explained by them; each may be part of
a name as well."""

BUILT_KINDS = frozenset(
    _words(
        "museum gallery center garden park tower palace castle chateau church cathedral basilica "
        "chapel abbey monastery temple mosque cemetery library theater station square street "
        "avenue boulevard bridge market school university institute hospital stadium"
    )
)
"""Kinds of what is named in the language of its place, and translated."""

GENERIC_WORDS = frozenset(
    _words("central royal royale real nacional national nationale municipal mayor grande city town")
)
"""Beside a word for a kind these name many things."""

ENGLISH_KINDS = frozenset(_words(words)[0] for words in _KINDS.values())
"""Those of English, which stand last: "Rodin Museum", "Musée Rodin"."""

SILENT_KINDS = frozenset({"museum", "building", "tragedy"})
"""A name with such a word in its usual place and the same without it are one."""

CASTLES = frozenset({"castle", "chateau", "palace"})
"""Kinds that languages tell apart in different ways: a château is a castle or a palace."""

ALIKE_KINDS = frozenset({"statement", "method", "disease"})
"""Words of one such kind are used for one another, if not always."""

UNITS = frozenset(
    _words(
        "mm cm dm m km mi mile miles yd yard yards foot feet inch inches g kg mg lb lbs oz ton "
        "tons ml cl l liter liters gallon gallons s sec second seconds min minute minutes h hour "
        "hours v w kw mw hz khz mhz ghz kb mb gb tb bit bits byte bytes percent "
    )
)
"""Behind a number."""

RIVALS = tuple(
    frozenset(_words(words))
    for words in (
        "north south east west northeast northwest southeast southwest central",
        "northern southern eastern western",
        "nord sud est ouest",
        "norte sur sul este oeste",
        "upper lower middle",
        "left right",
        "inner outer",
        "big little",
        "great lesser small large",
        "grand petit",
        "old new",
        "major minor",
        "junior senior",
        "elder younger",
        "male female",
        "men women",
        "man woman",
        "boy girl",
        "king queen",
        "prince princess",
        "father mother",
        "brother sister",
        "son daughter",
        "uncle aunt",
        "spring summer autumn winter",
        "monday tuesday wednesday thursday friday saturday sunday",
        "january february march april may june july august september october november december",
        "black white brown red green blue yellow orange purple pink gray gold silver",
        "alpha beta gamma delta epsilon zeta eta theta kappa lambda sigma omega",
        "positive negative",
        "internal external",
        "high low",
        "hot cold",
        "hard soft",
        "light dark heavy",
        "long short",
        "wet dry",
        "open closed",
        "public private",
        "active passive",
        "before after",
        "ancient modern",
        "early late",
        "day night",
        "sunrise sunset",
        "maximum minimum",
        "import export",
        "micro macro",
        "single double triple quadruple",
        "primary secondary tertiary",
    )
)
"""Words of one set exclude one another."""

TITLES = frozenset(
    _words("junior senior sir dame saint lord lady president doctor professor mister missus")
)
"""Of one and the same person, or of another of that name."""

RIVAL_WORDS = frozenset().union(*RIVALS)

PLACES_OF_TWO = frozenset(
    _words(
        "america africa asia europe zealand york jersey mexico hampshire england carolina dakota "
        "virginia wales guinea australia"
    )
)
"""Behind "North", "New" or "West" these make a place of it."""

MARKING = frozenset(
    _words(
        "north south east west northern southern eastern western upper lower inner outer new "
        "nord sud norte sur anti non ex"
    )
)
"""With one of these a name is another's neighbour, not its longer form."""

RIVAL_ENDINGS = (
    "ite", "ate", "ide", "ous", "ic", "ane", "ene", "yne", "ol", "al", "ine", "ase", "ose",
)  # fmt: skip
"""Of what is otherwise one word of chemistry or medicine."""

RIVAL_BEGINNINGS = (
    ("hypo", "hyper"), ("intra", "inter"), ("pre", "post"), ("micro", "macro"), ("mono", "poly"),
    ("exo", "endo"), ("homo", "hetero"), ("under", "over"), ("sub", "super"), ("ante", "anti"),
    ("mono", "di"), ("di", "tri"), ("uni", "bi"), ("bi", "tri"), ("mega", "giga"),
    ("kilo", "mega"), ("centi", "milli"),
)  # fmt: skip
