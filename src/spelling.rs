//! What to say of a word that is not known: the known one that it resembles, or all of them.

/// What to write instead of an unknown word: the one it resembles, or the whole list.
pub(crate) fn remedy<'a>(unknown: &str, known: impl Iterator<Item = &'a str>) -> String {
    let known: Vec<&str> = known.collect();
    match nearest(unknown, known.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("known are: {}", listed(&known)),
    }
}

/// Words in backticks, as a sentence lists them.
pub(crate) fn listed<T: AsRef<str>>(words: &[T]) -> String {
    words.iter().map(|word| format!("`{}`", word.as_ref())).collect::<Vec<_>>().join(", ")
}

/// The known word that is at most a third of its letters away.
pub(crate) fn nearest<'a>(word: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let word: Vec<char> = word.to_lowercase().chars().take(LONGEST_WORD).collect();
    known
        .map(|candidate| (distance(&word, candidate), candidate))
        .filter(|(distance, candidate)| *distance <= candidate.chars().count().div_ceil(3))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Words beyond this length resemble nothing that is known.
const LONGEST_WORD: usize = 100;

/// Letters to insert, remove or replace to turn one word into the other (Levenshtein 1966).
fn distance(word: &[char], other: &str) -> usize {
    let mut row: Vec<usize> = (0..=word.len()).collect();
    for (line, theirs) in other.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = line + 1;
        for (column, ours) in word.iter().enumerate() {
            let replaced = diagonal + usize::from(*ours != theirs);
            diagonal = row[column + 1];
            row[column + 1] = replaced.min(row[column] + 1).min(diagonal + 1);
        }
    }
    row[word.len()]
}

#[cfg(test)]
mod tests {
    use super::{distance, nearest};

    #[test]
    fn the_distance_of_words_counts_letters() {
        for (from, to, letters) in
            [("", "", 0), ("rte", "rate", 1), ("kitten", "sitting", 3), ("abc", "", 3)]
        {
            assert_eq!(distance(&from.chars().collect::<Vec<_>>(), to), letters, "{from} {to}");
        }
    }

    #[test]
    fn a_typo_finds_its_word_and_nonsense_finds_none() {
        let known = ["rate", "arrivals", "payload"];
        assert_eq!(nearest("arivals", known.into_iter()), Some("arrivals"));
        assert_eq!(nearest("RATE", known.into_iter()), Some("rate"));
        assert_eq!(nearest("zebra crossing", known.into_iter()), None);
        assert_eq!(nearest(&"rate".repeat(100_000), known.into_iter()), None);
    }
}
