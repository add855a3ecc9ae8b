//! The text that some programs hand to C_Initialize: `key=value` pairs between blanks. NSS calls it parameters and
//! puts values that hold blanks between quotation marks; p11-kit and pkcs11-provider pass on what the user wrote.

/// The pairs, in order. Words without `=` are left out.
pub(super) fn pairs(text: &str) -> Vec<(String, String)> {
    let mut pairs = Vec::new();
    let mut word = Word::default();
    for character in text.chars() {
        match (word.quote, character) {
            (Some(quote), _) if character == quote => word.quote = None,
            (None, '\'' | '"') if word.key.is_some() => word.quote = Some(character),
            (None, _) if character.is_ascii_whitespace() => pairs.extend(std::mem::take(&mut word).pair()),
            (None, '=') if word.key.is_none() => word.key = Some(std::mem::take(&mut word.text)),
            _ => word.text.push(character),
        }
    }
    pairs.extend(word.pair());
    pairs
}

#[derive(Default)]
struct Word {
    key: Option<String>,
    text: String,
    quote: Option<char>,
}

impl Word {
    fn pair(self) -> Option<(String, String)> {
        Some((self.key?, self.text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Vec<(String, String)> {
        pairs(text)
    }

    fn pair(key: &str, value: &str) -> (String, String) {
        (key.to_owned(), value.to_owned())
    }

    #[test]
    fn pairs_are_separated_by_blanks() {
        assert_eq!(read(" qes=off \t config=/a=b "), [pair("qes", "off"), pair("config", "/a=b")]);
        assert_eq!(read(""), []);
        assert_eq!(read("word qes=off"), [pair("qes", "off")]);
    }

    #[test]
    fn quoted_values_hold_blanks() {
        let text = "configdir='sql:/home/a b' config=\"/My Files/x.toml\" qes=''";
        let expected =
            [pair("configdir", "sql:/home/a b"), pair("config", "/My Files/x.toml"), pair("qes", "")];
        assert_eq!(read(text), expected);
        assert_eq!(read("config='/open end"), [pair("config", "/open end")]);
    }
}
