"""What each reason code means and what a person does about it, in Swedish and English.

The codes are stable (design.md §2): add lines, never change what a code stands for. An unknown code is shown as it stands,
beside the file's own message.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from worker.policy.plan import Text
from worker.record import Status


@dataclass(frozen=True, slots=True)
class Reason:
    """One code: a short title, what lies behind it, and what to do."""

    title: Text
    meaning: Text
    remedy: Text


def reason(code: str, status: Status) -> Reason:
    """Return what *code* means; for a code that is not known here, its own word and the status's usual remedy."""
    if known := REASONS.get(code):
        return known
    plain = code.replace("-", " ").capitalize()
    return Reason(Text(plain, plain), Text("", ""), _USUAL_REMEDY.get(status, _NOTHING))


_NOTHING = Text("", "")
_ASK = Text("Be producenten om ", "Ask the producer for ")
_USUAL_REMEDY: Mapping[Status, Text] = {
    Status.REVIEW: Text("Läs förklaringen vid varje fil och ta ställning.", "Read the explanation beside each file and decide."),
    Status.RETURNED: Text("Skicka listan till producenten.", "Send the list to the producer."),
    Status.FAILED: Text("Kör om filerna när orsaken är avhjälpt.", "Run the files again once the cause is mended."),
}
_RERUN = Text("Kör om filerna när verktyget har lagats eller bytts.", "Run the files again once the tool is mended or replaced.")


def _ask(sv: str, en: str) -> Text:
    return Text(_ASK.sv + sv, _ASK.en + en)


REASONS: Mapping[str, Reason] = {
    "encrypted": Reason(
        Text("Krypterad", "Encrypted"),
        Text("Filen kräver ett lösenord för att öppnas.", "The file needs a password to open."),
        _ask(
            "en kopia utan lösenord. Arkivet ska inte förvara lösenord.",
            "a copy without a password. An archive should not hold passwords.",
        ),
    ),
    "restricted": Reason(
        Text("Begränsad av ägaren", "Restricted by its owner"),
        Text(
            "Filen går att öppna, men ägarlösenordet förbjuder ändring eller utskrift.",
            "The file opens, but an owner password forbids changing or printing it.",
        ),
        Text(
            "Avgör om begränsningen får hävas, eller be producenten om en kopia utan den.",
            "Decide whether the restriction may be lifted, or ask the producer for a copy without it.",
        ),
    ),
    "signed": Reason(
        Text("Elektroniskt underskriven", "Digitally signed"),
        Text(
            "Varje omskrivning skulle bryta underskriften. Originalet har inte rörts.",
            "Any rewriting would break the signature. The original was not touched.",
        ),
        Text(
            "Kontrollera underskriften nu och dokumentera resultatet. Avgör sedan om en osignerad kopia behövs.",
            "Check the signature now and record the result. Then decide whether an unsigned copy is needed.",
        ),
    ),
    "damaged": Reason(
        Text("Skadad", "Damaged"),
        Text(
            "Filen kan inte läsas till slutet, eller har fel där innehåll skulle gå förlorat.",
            "The file cannot be read to its end, or has faults where content would be lost.",
        ),
        _ask("en hel kopia. Jämför storlek och kontrollsumma.", "an intact copy. Compare size and checksum."),
    ),
    "empty": Reason(
        Text("Tom fil", "Empty file"),
        Text("Filen är 0 byte lång.", "The file is 0 bytes long."),
        Text(
            "Fråga producenten om den ska vara tom, eller om leveransen gick fel.",
            "Ask the producer whether it is meant to be empty, or whether the delivery went wrong.",
        ),
    ),
    "unidentified": Reason(
        Text("Okänt format", "Unknown format"),
        Text("Inget av identifieringsverktygen känner igen innehållet.", "None of the identifiers recognises the content."),
        Text(
            "Ta reda på vilket program som skapade filen. Originalet är bevarat bit för bit så länge.",
            "Find out which program made the file. The original is preserved bit by bit meanwhile.",
        ),
    ),
    "disagreement": Reason(
        Text("Identifieringarna är oense", "The identifiers disagree"),
        Text("Två verktyg läser innehållet som olika format.", "Two tools read the content as different formats."),
        Text("Öppna filen och avgör vilket format som stämmer.", "Open the file and decide which format is right."),
    ),
    "misnamed": Reason(
        Text("Annat än namnet säger", "Not what its name says"),
        Text(
            "Namnet lovar ett kontorsdokument, men innehållet är ren text. Den är bevarad som text.",
            "The name promises an office document, but the content is plain text. It is preserved as text.",
        ),
        Text(
            "Läs texten: är den handlingen, eller ett felmeddelande som sparats i dess ställe?",
            "Read the text: is it the record, or an error message that was saved in its place?",
        ),
    ),
    "too-large": Reason(
        Text("För stor", "Too large"),
        Text(
            "Filen skulle kräva mer minne eller tid än vad som är tillåtet.",
            "The file would need more memory or time than allowed.",
        ),
        Text("Höj gränsen i policyn för den här filen, eller dela den.", "Raise the policy's limit for this file, or split it."),
    ),
    "not-proven": Reason(
        Text("Jämförelsen räckte inte", "The comparison fell short"),
        Text(
            "En kopia skapades, men den kunde inte visas vara samma handling som originalet. Den har inte godtagits.",
            "A copy was made, but it could not be shown to be the same record as the original. It was not accepted.",
        ),
        Text(
            "Jämför bilderna och avgör om skillnaden har betydelse.",
            "Look at the pictures and decide whether the difference matters.",
        ),
    ),
    "not-valid": Reason(
        Text("Valideringen räckte inte", "The validation fell short"),
        Text("Inget försök godtogs; minst ett föll på valideringen.", "No attempt was accepted; at least one failed validation."),
        Text(
            "Läs valideringens skäl nedan. Originalet kan bevaras som det är, eller rättas av producenten.",
            "Read the validator's reasons below. The original can be preserved as it is, or corrected by the producer.",
        ),
    ),
    "portfolio": Reason(
        Text("PDF-portfölj", "PDF portfolio"),
        Text("PDF-filen är ett omslag kring andra filer.", "The PDF is a cover around other files."),
        Text("Ta ut filerna och leverera dem var för sig.", "Take the files out and submit them one by one."),
    ),
    "xfa": Reason(
        Text("XFA-formulär", "XFA form"),
        Text("Sidorna skapas först i ett program som kan XFA.", "The pages come into being only in a program that knows XFA."),
        _ask("en utskriven PDF av det ifyllda formuläret.", "a printed PDF of the completed form."),
    ),
    "macros": Reason(
        Text("Makron", "Macros"),
        Text("Filen innehåller programkod. Den har inte körts.", "The file contains program code. It was not run."),
        Text(
            "Avgör om makrona hör till handlingen. De följer bara med i originalet.",
            "Decide whether the macros are part of the record. Only the original holds them.",
        ),
    ),
    "unsupported": Reason(
        Text("Saknar regel i policyn", "No rule in this policy"),
        Text("Policyn har ingen plan för det här formatet.", "The policy has no plan for this format."),
        Text(
            "Lägg till en regel, eller besluta att filen bevaras som den är.",
            "Add a rule, or decide to preserve the file as it is.",
        ),
    ),
    "encoding-uncertain": Reason(
        Text("Osäker teckenkodning", "Uncertain encoding"),
        Text("Texten går inte att läsa på ett entydigt sätt.", "The text cannot be read in one way only."),
        Text(
            "Ange vilken teckenkodning som gäller, till exempel ur källsystemet.",
            "Say which encoding it is, for instance from its system.",
        ),
    ),
    "image-changed": Reason(
        Text("Bilddata ändrades", "Picture data changed"),
        Text(
            "Texttolkningen ändrade de inskannade bilderna. Kopian har inte godtagits.",
            "OCR changed the scanned pictures. The copy was not accepted.",
        ),
        Text("Rapportera filen till driften.", "Report the file to operations."),
    ),
    "checksum-mismatch": Reason(
        Text("Kontrollsumman stämmer inte", "The checksum does not match"),
        Text("Filen är inte den som leveransen beskriver.", "The file is not the one that the delivery describes."),
        _ask("en ny leverans av filen.", "a new delivery of the file."),
    ),
    "missing": Reason(
        Text("Saknas i leveransen", "Missing from the delivery"),
        Text(
            "Kontrollsummorna nämner filen, men den kom inte med.",
            "The checksums name the file, but it did not come along.",
        ),
        _ask("filen, eller en rättad lista.", "the file, or a corrected list."),
    ),
    "store-unreachable": Reason(
        Text("Lagringen svarade inte", "The store did not answer"),
        Text(
            "Källan eller arkivets lagring var borta i flera timmar. Filen är inte bevarad.",
            "The source or the archive's store was away for hours. The file is not preserved.",
        ),
        Text("Kör om filerna när lagringen svarar.", "Retry the files when the store answers."),
    ),
    "worker-died": Reason(
        Text("Arbetsprocessen dog", "The worker died"),
        Text(
            "Varje process som tog filen dog innan den var klar.",
            "Every process that took the file died before it was done.",
        ),
        Text("Rapportera filen till driften.", "Report the file to operations."),
    ),
    "unsafe-name": Reason(
        Text("Namnet kan inte användas", "The name cannot be used"),
        Text(
            "Nyckeln har en del som är tom, '.' eller '..'. Den lästes inte.",
            "The key has a part that is empty, '.' or '..'. It was not read.",
        ),
        _ask("filen under ett vanligt namn.", "the file under a plain name."),
    ),
    "name-taken": Reason(
        Text("Namnet är upptaget", "The name is taken"),
        Text(
            "Paketet har en mapp med filens namn, eller en fil där namnet har en mapp. Filen är inte bevarad.",
            "The package has a folder of the file's name, or a file where the name has a folder. The file is not preserved.",
        ),
        _ask("filen under ett annat namn, eller som ett eget paket.", "the file under another name, or as a package of its own."),
    ),
    "symlink": Reason(
        Text("Symbolisk länk", "Symbolic link"),
        Text(
            "Posten pekar på en annan fil och har inget eget innehåll.",
            "The entry points to another file and has no content of its own.",
        ),
        _ask("filen som länken pekar på.", "the file that the link points to."),
    ),
    "not-a-regular-file": Reason(
        Text("Inte en vanlig fil", "Not a regular file"),
        Text(
            "Posten är en enhet, en kö eller en sockel, och har inget innehåll.",
            "The entry is a device, a pipe or a socket, without content.",
        ),
        Text("Ta bort posten ur leveransen.", "Remove the entry from the delivery."),
    ),
    "unreadable": Reason(
        Text("Gick inte att läsa", "Could not be read"),
        Text(
            "Operativsystemet lämnade inte ut filens innehåll. Den finns inte i arkivet.",
            "The system did not give the content. It is not archived.",
        ),
        Text("Kontrollera läsrättigheter och disk, och kör om.", "Check permissions and the disk, and run again."),
    ),
    "changed-while-read": Reason(
        Text("Ändrades under läsningen", "Changed while it was read"),
        Text("Någon skrev i filen medan den lästes in.", "Something wrote to the file while it was read."),
        Text("Frys källan och kör om.", "Freeze the source and run again."),
    ),
    "tool-crashed": Reason(
        Text("Ett verktyg kraschade", "A tool crashed"),
        Text(
            "Verktyget avbröts mitt i arbetet, på alla sätt som prövades.", "The tool ended mid-work, in every way that was tried."
        ),
        _RERUN,
    ),
    "tool-timeout": Reason(
        Text("Tiden tog slut", "Time ran out"),
        Text(
            "Verktyget blev inte klart inom sin tidsgräns och avslutades.",
            "The tool did not finish within its limit and was ended.",
        ),
        Text("Höj tidsgränsen om filen är stor, och kör om.", "Raise the time limit if the file is large, and run again."),
    ),
    "tool-failed": Reason(
        Text("Ett verktyg gav upp", "A tool gave up"),
        Text("Verktyget meddelade själv att det inte kunde slutföra arbetet.", "The tool itself said that it could not finish."),
        _RERUN,
    ),
    "tool-missing": Reason(
        Text("Ett verktyg saknas", "A tool is missing"),
        Text("Planen kräver ett program som inte finns på maskinen.", "The plan needs a program that is not on this machine."),
        Text("Kör ”bevara doctor”, installera verktyget och kör om.", "Run “bevara doctor”, install the tool and run again."),
    ),
    "poison": Reason(
        Text("Fäller verktygen", "Brings the tools down"),
        Text(
            "Filen har två gånger fällt den slutna miljö där den öppnades. Den är lagd åt sidan.",
            "The file twice brought down the closed environment that opened it. It is set aside.",
        ),
        Text("Behandla filen som misstänkt. Rapportera den till driften.", "Treat the file as suspect. Report it to operations."),
    ),
    "transient": Reason(
        Text("Tillfälligt hinder", "Temporary obstacle"),
        Text("Ett utrymme var fullt eller ett lager svarade inte.", "A space was full or a store did not answer."),
        Text("Kör om.", "Run again."),
    ),
    "refused": Reason(
        Text("Avvisad av verktyget", "Refused by the tool"),
        Text("Verktyget tittade på filen och avstod.", "The tool looked at the file and declined."),
        _USUAL_REMEDY[Status.REVIEW],
    ),
    "signed-copy": Reason(
        Text("Osignerad kopia", "Unsigned copy"),
        Text(
            "Originalet är signerat. Underskriften finns bara kvar i originalet.",
            "The original is signed. The signature remains in the original only.",
        ),
        Text("Kontrollera underskriften nu och dokumentera resultatet.", "Check the signature now and record the result."),
    ),
    "container": Reason(
        Text("Packat arkiv", "Compressed archive"),
        Text("Filen innehåller andra filer. De har inte packats upp.", "The file holds other files. They were not unpacked."),
        Text("Avgör om innehållet ska packas upp och levereras för sig.", "Decide whether to unpack and submit what is inside."),
    ),
    "executable": Reason(
        Text("Programfil", "Program"),
        Text("Filen är ett körbart program. Den har inte körts.", "The file is a program. It was not run."),
        Text("Avgör om den är en handling som ska bevaras.", "Decide whether it is a record to preserve."),
    ),
    "lock-file": Reason(
        Text("Låsfil", "Lock file"),
        Text("Ett kontorsprogram lämnade filen efter sig.", "An office program left the file behind."),
        Text(
            "Avgör om den får gallras. Det kräver ett gallringsbeslut.",
            "Decide whether it may be disposed of; that needs a decision.",
        ),
    ),
    "system-file": Reason(
        Text("Systemfil", "System file"),
        Text("Operativsystemet skapade filen för sitt eget bruk.", "The operating system made the file for its own use."),
        Text(
            "Avgör om den får gallras. Det kräver ett gallringsbeslut.",
            "Decide whether it may be disposed of; that needs a decision.",
        ),
    ),
    "unsupported-picture": Reason(
        Text("Bildformatet kan inte läsas", "Picture cannot be read"),
        Text("Bilden har en form som avkodaren inte känner.", "The picture has a form that the decoder does not know."),
        Text("Öppna bilden i programmet som skapade den, och avgör.", "Open it in the program that made it, and decide."),
    ),
    "depth-unsupported": Reason(
        Text("Bitdjupet kan inte bevaras", "Bit depth cannot be kept"),
        Text("En omvandling skulle minska färgdjupet.", "A conversion would reduce the colour depth."),
        Text(
            "Omvandla bilden med ett annat program, eller bevara den som den är.",
            "Convert it with another program, or keep it as it is.",
        ),
    ),
    "bug": Reason(
        Text("Fel i programmet", "Fault in the program"),
        Text("Programmet gjorde något oväntat när det behandlade filen.", "The program did something unexpected with this file."),
        Text("Rapportera felet till driften, med jobbets nummer.", "Report the fault to operations, with the job's number."),
    ),
    "error": Reason(
        Text("Oväntat fel", "Unexpected fault"),
        Text("Programmet har ett fel som den här filen visar.", "The program has a fault that this file shows."),
        Text("Rapportera felet till driften, med jobbets nummer.", "Report the fault to operations, with the job's number."),
    ),
}
