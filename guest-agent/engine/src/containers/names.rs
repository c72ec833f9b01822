//! Docker's random container names: an adjective and the surname of a notable scientist or
//! hacker.

use crate::Error;

const ADJECTIVES: &str = "
    admiring adoring affectionate agitated amazing angry awesome beautiful blissful bold boring
    brave busy charming clever compassionate competent condescending confident cool cranky crazy
    dazzling determined distracted dreamy eager ecstatic elastic elated elegant eloquent epic
    exciting fervent festive flamboyant focused friendly frosty funny gallant gifted goofy
    gracious great happy hardcore heuristic hopeful hungry infallible inspiring intelligent
    interesting jolly jovial keen kind laughing loving lucid magical modest musing mystifying
    naughty nervous nice nifty nostalgic objective optimistic peaceful pedantic pensive
    practical priceless quirky quizzical recursing relaxed reverent romantic sad serene sharp
    silly sleepy stoic strange stupefied suspicious sweet tender thirsty trusting unruffled
    upbeat vibrant vigilant vigorous wizardly wonderful xenodochial youthful zealous zen
";

const SURNAMES: &str = "
    agnesi albattani allen almeida antonelli archimedes aryabhata austin babbage banach banzai
    bardeen bartik bassi beaver bell benz bhabha bhaskara black blackburn blackwell bohr booth
    borg bose bouman boyd brahmagupta brattain brown buck burnell cannon carson cartwright cerf
    chandrasekhar chaplygin chatelet chatterjee chaum clarke colden cori cray curie curran
    darwin davinci dhawan diffie dijkstra dirac driscoll dubinsky easley edison einstein
    elbakyan elgamal elion ellis engelbart euclid euler faraday feistel fermat fermi feynman
    franklin gagarin galileo galois ganguly gates gauss germain goldberg goldstine goldwasser
    golick goodall gould greider grothendieck haibt hamilton hawking heisenberg hellman hermann
    herschel hertz heyrovsky hodgkin hofstadter hoover hopper hugle hypatia ishizaka jackson
    jang jemison jennings jepsen johnson joliot jones kalam kapitsa kare keldysh keller kepler
    khayyam khorana kilby kirch knuth kowalevski lalande lamarr lamport leakey leavitt lederberg
    lehmann lewin lichterman liskov lovelace lumiere mahavira margulis matsumoto maxwell mayer
    mccarthy mcclintock mclaren mclean mcnulty meitner mendel mendeleev meninsky merkle mestorf
    mirzakhani montalcini moore morse moser murdock napier nash neumann newton nightingale nobel
    noether northcutt noyce panini pare pascal pasteur payne perlman pike poincare poitras
    proskuriakova ptolemy raman ramanujan rhodes ride ritchie robinson roentgen rosalind rubin
    saha sammet sanderson satoshi shamir shannon shaw shirley shockley shtern sinoussi snyder
    solomon spence stonebraker sutherland swanson swartz swirles taussig tesla tharp thompson
    torvalds tu turing varahamihira vaughan vaughn villani visvesvaraya volhard wescoff wilbur
    wiles williams williamson wilson wing wozniak wright wu yalow yonath zhukovsky
";

/// A name that may already be taken; with `retry` above 0 it ends in a digit.
pub(crate) fn random_name(retry: u32) -> Result<String, Error> {
    loop {
        let mut bytes = [0u8; 9];
        getrandom::fill(&mut bytes)
            .map_err(|e| Error::System(format!("no random numbers from the kernel: {e}")))?;
        let [a, b, c, d, e, f, g, h, digit] = bytes;
        let pick = |list: &'static str, raw: [u8; 4]| {
            let words: Vec<&str> = list.split_whitespace().collect();
            let length = u32::try_from(words.len()).unwrap_or(1);
            let index = usize::try_from(u32::from_le_bytes(raw) % length).unwrap_or(0);
            words.get(index).copied().unwrap_or("plain")
        };
        let adjective = pick(ADJECTIVES, [a, b, c, d]);
        let surname = pick(SURNAMES, [e, f, g, h]);
        // Steve Wozniak is not boring, says Docker.
        if (adjective, surname) == ("boring", "wozniak") {
            continue;
        }
        return Ok(match retry {
            0 => format!("{adjective}_{surname}"),
            _ => format!("{adjective}_{surname}{}", digit % 10),
        });
    }
}

/// Whether Docker allows the name: `[a-zA-Z0-9][a-zA-Z0-9_.-]+`.
pub(crate) fn is_valid(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes.next().is_some_and(|b| b.is_ascii_alphanumeric())
        && name.len() > 1
        && bytes.all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-'))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn random_names_are_valid() {
        for retry in 0..50 {
            let name = random_name(retry % 2).unwrap();
            assert!(is_valid(&name), "{name}");
        }
    }

    #[test]
    fn refuses_what_docker_refuses() {
        for (name, valid) in [
            ("a", false),
            ("ab", true),
            ("-a", false),
            ("a/b", false),
            ("a.b-c_d", true),
        ] {
            assert_eq!(is_valid(name), valid, "{name}");
        }
    }
}
