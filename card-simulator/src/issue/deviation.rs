//! Cards that are not as they should be: what is done to a file of a new card, for tests that must go wrong.

use serde::Deserialize;

use super::IssueError;
use crate::PatientError;
use crate::insurance::gzip;

/// What is done to the content of a transparent file.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Deviation {
    /// Other content.
    Hex(#[serde(with = "hex")] Vec<u8>),
    /// The end is missing: as many bytes remain.
    Cut(usize),
    /// The bytes at these places are inverted.
    Flip(Vec<usize>),
    /// Says another length in its first two bytes.
    Length(u16),
    /// A length and a compressed document of so many zeros: a small file that grows large.
    Bomb(usize),
}

/// A file with deviations: in a script, `[[file]]` with `name` and deviations, which are done in this order.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DeviatingFile {
    name: String,
    #[serde(rename = "do")]
    deviations: Vec<Deviation>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Script {
    file: Vec<DeviatingFile>,
}

/// Reads a script.
pub(super) fn parse(text: &str) -> Result<Vec<(String, Deviation)>, IssueError> {
    let script: Script = toml::from_str(text)
        .map_err(|error| IssueError::Value { what: "script", reason: error.message().to_owned() })?;
    let file = |file: DeviatingFile| {
        let name = file.name;
        file.deviations.into_iter().map(move |deviation| (name.clone(), deviation))
    };
    Ok(script.file.into_iter().flat_map(file).collect())
}

impl Deviation {
    /// Does it to a content.
    pub(super) fn apply(&self, mut content: Vec<u8>) -> Result<Vec<u8>, IssueError> {
        match self {
            Deviation::Hex(bytes) => content.clone_from(bytes),
            Deviation::Cut(length) => content.truncate(*length),
            Deviation::Flip(places) => {
                for place in places {
                    let reason = || format!("no byte {place} to invert in {} bytes", content.len());
                    let error = IssueError::Value { what: "script", reason: reason() };
                    let byte = content.get_mut(*place).ok_or(error)?;
                    *byte = !*byte;
                }
            }
            Deviation::Length(length) => {
                let missing = IssueError::Value { what: "script", reason: "no length to change".to_owned() };
                *content.first_chunk_mut().ok_or(missing)? = length.to_be_bytes();
            }
            Deviation::Bomb(size) => {
                let document = gzip(&vec![0; *size]).map_err(PatientError::from)?;
                let length = u16::try_from(document.len()).unwrap_or(u16::MAX);
                content = [length.to_be_bytes().as_slice(), &document].concat();
            }
        }
        Ok(content)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn done(text: &str) -> Vec<u8> {
        let script = parse(&format!("[[file]]\nname = \"EF.PD\"\ndo = [{text}]")).unwrap();
        let deviate = |content, (_, deviation): (String, Deviation)| deviation.apply(content).unwrap();
        script.into_iter().fold(vec![0, 3, 0xAA, 0xBB, 0xCC], deviate)
    }

    #[test]
    fn each_deviation_does_what_it_says() {
        assert_eq!(done("{ hex = \"0102\" }"), [1, 2]);
        assert_eq!(done("{ cut = 3 }"), [0, 3, 0xAA]);
        assert_eq!(done("{ flip = [2, 4] }"), [0, 3, 0x55, 0xBB, 0x33]);
        assert_eq!(done("{ length = 258 }"), [1, 2, 0xAA, 0xBB, 0xCC]);
        assert_eq!(done("{ cut = 2 }, { length = 0 }"), [0, 0]);
        let bomb = done("{ bomb = 500000 }");
        assert_eq!((usize::from(bomb[0]) << 8 | usize::from(bomb[1])) + 2, bomb.len());
        assert!(bomb.len() < 850, "{} bytes fit in EF.PD", bomb.len());
    }

    #[test]
    fn what_cannot_be_done_is_refused() {
        for text in ["", "[[file]]\nname = \"EF.PD\"", "[[file]]\nname = \"EF.PD\"\ndo = [{ melt = 1 }]"] {
            assert!(parse(text).is_err(), "{text}");
        }
        assert!(Deviation::Flip(vec![5]).apply(vec![0; 5]).is_err());
        assert!(Deviation::Length(1).apply(vec![0]).is_err());
    }
}
