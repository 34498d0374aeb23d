"""Ambiguous words, with two sentences for each of two senses."""

from __future__ import annotations

Sentences = tuple[str, str, str, str]

AMBIGUOUS: dict[str, Sentences] = {
    "bank": (
        "the river flooded its bank after heavy rain",
        "grass grows on the bank of a stream near the water",
        "he borrowed money from the bank at high interest",
        "the bank opened accounts and lends cash to customers",
    ),
    "plant": (
        "a plant with green leaves and yellow flowers",
        "the root and stem of this plant grow in wet soil",
        "workers at the chemical plant produce steel",
        "the company built a new industrial plant to manufacture cars",
    ),
    "bat": (
        "the bat is a flying mammal active at night",
        "a bat with wings lives in caves and eats insects",
        "he hit the ball with a wooden bat",
        "the cricket player swung his bat to score runs",
    ),
    "spring": (
        "flowers bloom in spring after the winter",
        "birds return each spring before summer and autumn",
        "a metal spring is a coil of elastic wire",
        "the steel spring stretches under force and tension",
    ),
    "star": (
        "the star is a hot bright body in the galaxy",
        "astronomers observed a distant star near a planet through a telescope",
        "a famous film star and actor in the movie",
        "the singer became a pop star on television",
    ),
    "cell": (
        "the nucleus of a living cell contains dna",
        "the membrane of each cell encloses proteins and tissue",
        "the prisoner was locked in a small prison cell",
        "guards put the criminal into a jail cell with bars",
    ),
    "organ": (
        "the liver is an organ of the body",
        "the heart is a muscular organ that pumps blood in animals",
        "music played on the church organ and piano",
        "bach composed fugues for pipe organ and keyboard instruments",
    ),
    "match": (
        "they won the final match of the football season",
        "the team lost its tennis match in the championship",
        "he struck a match to light the fire",
        "a burning match makes flame and smoke from wood",
    ),
    "court": (
        "the judge of the supreme court heard the case",
        "a lawyer appealed to the federal court about justice and law",
        "the tennis player hit the ball across the court",
        "the basketball game is played on an indoor court by teams",
    ),
    "seal": (
        "a seal is a marine mammal that eats fish",
        "the seal swims in the cold sea and rests on ice with whales",
        "an official seal stamped in wax on the document",
        "the king put his royal seal on a signed letter",
    ),
    "mouse": (
        "the cat caught a small mouse rodent",
        "a mouse is an animal with a long tail like a rat",
        "click with the mouse of the computer",
        "move the pointer on the screen with a keyboard or mouse device",
    ),
    "bass": (
        "he plays bass guitar in a rock band",
        "the musician recorded drums and bass for an album of jazz",
        "the bass is a fish of fresh water",
        "trout and bass are caught by fishing in lakes and rivers",
    ),
    "light": (
        "light is electromagnetic radiation of visible wavelength",
        "the sun emits light and heat that the eye can see",
        "a light meal that has little weight",
        "the small load was easy to carry and very light not heavy",
    ),
    "band": (
        "the rock band recorded an album of songs",
        "the band played music at a concert with a singer and drummer",
        "a thin band of metal worn around the finger",
        "a narrow band of cloth or leather is tied about the waist",
    ),
    "charge": (
        "the electric charge of an electron is negative",
        "protons carry a positive charge in the atom and ions attract",
        "the police arrested him on a murder charge",
        "the court dropped the criminal charge of theft against a man",
    ),
    "capital": (
        "paris is the capital city of france",
        "london is a large town and national capital of england",
        "investors need capital to finance the company",
        "banks lend capital and money for business profit",
    ),
    "wave": (
        "a sound wave has a frequency and amplitude",
        "the electromagnetic wave carries energy and radio signals",
        "the sea wave broke on the beach",
        "a big ocean wave hit the boat near the shore",
    ),
    "party": (
        "the political party won the election",
        "the leader of the conservative party became minister in parliament",
        "guests danced at the birthday party",
        "friends came for dinner and drinks at a wedding party",
    ),
    "apple": (
        "he ate a ripe apple fruit from the tree",
        "an apple or a pear is sweet juice and food",
        "apple released a computer with new software",
        "the hardware company apple sells systems that run programs",
    ),
    "field": (
        "the farmer grows wheat in the field",
        "cattle graze on grass in the open field of a farm",
        "the magnetic field of the current",
        "an electric field acts by force on a charged particle",
    ),
}
