//! Check digits of the two numbers on the card. A wrong one is reported, never refused: the card is what it is, and the
//! caller decides.

/// Whether `kvnr` is one letter and nine digits with the right check digit (guideline under section 290
/// SGB V): the letter counts as two digits, weights 1,2,1,2,..., digit sums, modulo 10.
pub fn kvnr_is_valid(kvnr: &str) -> bool {
    let [letter, digits @ .., check] = kvnr.as_bytes() else { return false };
    if !letter.is_ascii_uppercase() || digits.len() != 8 || !check.is_ascii_digit() {
        return false;
    }
    let ordinal = letter - b'A' + 1;
    let expanded =
        [ordinal / 10, ordinal % 10].into_iter().chain(digits.iter().map(|digit| digit.wrapping_sub(b'0')));
    weighted_sum(expanded, [1, 2]).is_some_and(|sum| sum % 10 == u32::from(check - b'0'))
}

/// Whether `kvnr` has the form of a Versicherten_ID (Schema_VSD.xsd, type `insurantId`), whatever its check digit.
pub fn kvnr_is_well_formed(kvnr: &str) -> bool {
    let [letter, digits @ ..] = kvnr.as_bytes() else { return false };
    letter.is_ascii_uppercase() && digits.len() == 9 && digits.iter().all(u8::is_ascii_digit)
}

/// Whether `ik` is nine digits with the right check digit (Gemeinsames Rundschreiben Institutionskennzeichen): digits
/// 3 to 8, weights 2,1,2,1,2,1, digit sums, modulo 10.
pub fn ik_is_valid(ik: &str) -> bool {
    let [_, _, body @ .., check] = ik.as_bytes() else { return false };
    if body.len() != 6 || !ik.bytes().all(|byte| byte.is_ascii_digit()) {
        return false;
    }
    weighted_sum(body.iter().map(|digit| digit.wrapping_sub(b'0')), [2, 1])
        .is_some_and(|sum| sum % 10 == u32::from(check.wrapping_sub(b'0')))
}

/// Sum of the digit sums of digit times weight; `None` if one of the values is no digit.
fn weighted_sum(digits: impl Iterator<Item = u8>, weights: [u32; 2]) -> Option<u32> {
    digits.zip(weights.into_iter().cycle()).try_fold(0, |sum, (digit, weight)| {
        let product = u32::from(digit) * weight;
        (digit <= 9).then_some(sum + product / 10 + product % 10)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn valid_kvnr_pass() {
        for kvnr in ["K220635158", "X110540756", "A123456780"] {
            assert!(kvnr_is_valid(kvnr), "{kvnr}");
        }
    }

    #[test]
    fn each_other_check_digit_fails() {
        for check in "012345679".chars() {
            assert!(!kvnr_is_valid(&format!("K22063515{check}")), "{check}");
        }
        assert!(!kvnr_is_valid("P123464113"));
    }

    #[test]
    fn things_that_are_no_kvnr_fail() {
        for text in [
            "",
            "K",
            "k220635158",
            "K22063515",
            "K2206351588",
            "Ä22063515",
            "1220635158",
            "K22063515a",
            "K2206a5158",
        ] {
            assert!(!kvnr_is_valid(text), "{text}");
            assert!(!kvnr_is_well_formed(text), "{text}");
        }
        assert!(kvnr_is_well_formed("P123464113"));
    }

    #[test]
    fn ik_check_digit_is_the_ninth() {
        assert!(ik_is_valid("109719018"));
        assert!(ik_is_valid("109500969"));
        for text in ["109719019", "123456789", "", "10971901", "1097190188", "10971901x"] {
            assert!(!ik_is_valid(text), "{text}");
        }
    }
}
