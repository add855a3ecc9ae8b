//! Check digits of the numbers in a prescription.

/// Whether the text is one capital letter and nine digits.
pub(super) use egk_reader::check_digit::{kvnr_is_valid, kvnr_is_well_formed as is_kvnr_form};

/// Whether the text has the form `aaa.bbb.bbb.bbb.bbb.cc` (gematik naming system GEM_ERP_NS_PrescriptionId).
pub(super) fn is_prescription_id_form(id: &str) -> bool {
    let groups: Vec<&str> = id.split('.').collect();
    groups.iter().map(|group| group.len()).eq([3, 3, 3, 3, 3, 2])
        && groups.iter().all(|group| group.bytes().all(|byte| byte.is_ascii_digit()))
}

/// Whether all digits, read as one number, leave 1 modulo 97 (ISO 7064 MOD 97-10).
pub(super) fn prescription_id_is_valid(id: &str) -> bool {
    let remainder = id
        .bytes()
        .filter(u8::is_ascii_digit)
        .fold(0u32, |remainder, digit| (remainder * 10 + u32::from(digit - b'0')) % 97);
    is_prescription_id_form(id) && remainder == 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prescription_numbers_follow_mod_97() {
        assert!(prescription_id_is_valid("160.100.000.000.006.24"));
        assert!(!prescription_id_is_valid("160.100.000.000.007.22"));
    }

    #[test]
    fn other_forms_are_no_prescription_numbers() {
        for text in [
            "",
            "160.100.000.000.006.2",
            "160.100.000.000.006.245",
            "160-100-000-000-006-24",
            "16o.100.000.000.006.24",
        ] {
            assert!(!is_prescription_id_form(text), "{text}");
            assert!(!prescription_id_is_valid(text), "{text}");
        }
    }

    #[test]
    fn one_changed_digit_is_noticed() {
        for digit in "0123456789".chars().filter(|digit| *digit != '6') {
            assert!(!prescription_id_is_valid(&format!("160.100.000.000.00{digit}.24")), "{digit}");
        }
    }
}
