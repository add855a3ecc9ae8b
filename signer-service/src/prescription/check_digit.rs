//! Check digits of the numbers in a prescription.

/// Whether the text is one capital letter and nine digits.
pub(super) use egk_reader::check_digit::{
    ik_is_valid as institution_number_is_valid, kvnr_is_valid, kvnr_is_well_formed as is_kvnr_form,
};

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

/// Whether the text is nine digits of which the seventh fits: weights 4 and 9 by turns, modulo 10. Numbers that begin
/// with 555555 stand for doctors without one. (Guideline of the KBV under section 75 SGB V.)
pub(super) fn doctor_number_is_valid(number: &str) -> bool {
    let Some(digits) = digits::<9>(number) else { return false };
    let sum: u32 = digits.iter().zip([4, 9, 4, 9, 4, 9]).map(|(digit, weight)| digit * weight).sum();
    number.starts_with("555555") || digits.get(6) == Some(&((10 - sum % 10) % 10))
}

/// Whether the text is eight digits of which the last fits: position times digit, modulo 11; 10 is never valid (IFA).
pub(super) fn pack_number_is_valid(number: &str) -> bool {
    let Some(digits) = digits::<8>(number) else { return false };
    let sum: u32 = digits.iter().zip(1..=7).map(|(digit, position)| digit * position).sum();
    digits.last() == Some(&(sum % 11))
}

fn digits<const N: usize>(text: &str) -> Option<[u32; N]> {
    let digits: Option<Vec<u32>> = text.chars().map(|c| c.to_digit(10)).collect();
    digits?.try_into().ok()
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
    fn numbers_of_doctors_and_packs_have_check_digits() {
        assert!(doctor_number_is_valid("123456628") && doctor_number_is_valid("555555901"));
        assert!(!doctor_number_is_valid("123456728") && !doctor_number_is_valid("12345662"));
        assert!(pack_number_is_valid("00814665"));
        assert!(!pack_number_is_valid("00814666") && !pack_number_is_valid("0814665"));
        // 1 x 1 + 5 x 1 + 4 x 1 = 10: no digit fits.
        assert!((0..10).all(|last| !pack_number_is_valid(&format!("1001100{last}"))));
    }

    #[test]
    fn one_changed_digit_is_noticed() {
        for digit in "0123456789".chars().filter(|digit| *digit != '6') {
            assert!(!prescription_id_is_valid(&format!("160.100.000.000.00{digit}.24")), "{digit}");
        }
    }
}
