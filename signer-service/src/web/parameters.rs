//! Parameters of a request, from its query or its form (application/x-www-form-urlencoded).

use zeroize::Zeroizing;

/// Named values; a form may hold a PIN, so they are wiped when dropped.
pub(super) struct Parameters(Vec<(String, Zeroizing<String>)>);

/// A parameter came twice (forbidden by RFC 6749 clause 3.1). Holds its name.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Repeated(pub(super) String);

impl Parameters {
    pub(super) fn parse(encoded: &[u8]) -> Result<Parameters, Repeated> {
        let mut all: Vec<(String, Zeroizing<String>)> = Vec::new();
        for (name, value) in form_urlencoded::parse(encoded) {
            if all.iter().any(|(known, _)| *known == name) {
                return Err(Repeated(name.into_owned()));
            }
            all.push((name.into_owned(), Zeroizing::new(value.into_owned())));
        }
        Ok(Parameters(all))
    }

    /// A value. An empty one counts as left out (RFC 6749 clause 3.1).
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_decoded_and_empty_ones_are_none() {
        let parameters = Parameters::parse(b"state=a%2Bb+c&scope=").unwrap();
        assert_eq!((parameters.get("state"), parameters.get("scope")), (Some("a+b c"), None));
    }

    #[test]
    fn a_parameter_that_comes_twice_is_named() {
        assert_eq!(Parameters::parse(b"a=1&b=2&a=3").err(), Some(Repeated("a".to_owned())));
    }
}
