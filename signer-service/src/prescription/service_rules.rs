//! What the national prescription service checks after the signature (gemSpec_FD_eRp and its observed behaviour), so
//! that a PIN is spent only on what it will take: dates, numbers, flow type, multiple prescriptions.

use time::{Date, macros::date, macros::format_description};

use super::{Finding, Prescription, Resource, Rule, check_digit, german_day, xml::Element};

const EXTENSIONS: &str = "https://fhir.kbv.de/StructureDefinition/";
const PRESCRIPTION_ID: &str = "https://gematik.de/fhir/erp/NamingSystem/GEM_ERP_NS_PrescriptionId";
const IK: &str = "http://fhir.de/sid/arge-ik/iknr";
const PZN: &str = "http://fhir.de/CodeSystem/ifa/pzn";
/// Generated text of a dosage, FHIR 5 carried over.
const RENDERED_DOSAGE: &str =
    "http://hl7.org/fhir/5.0/StructureDefinition/extension-MedicationRequest.renderedDosageInstruction";
/// Naming systems of practices and hospitals: BSNR, KZVA number, Standortnummer.
const ORGANIZATION_NUMBERS: [&str; 3] = [
    "https://fhir.kbv.de/NamingSystem/KBV_NS_Base_BSNR",
    "http://fhir.de/sid/kzbv/kzvabrechnungsnummer",
    "http://fhir.de/sid/dkgev/standortnummer",
];
/// Naming systems of physicians' and dentists' numbers.
const DOCTOR_NUMBERS: [&str; 2] =
    ["https://fhir.kbv.de/NamingSystem/KBV_NS_Base_ANR", "http://fhir.de/sid/kzbv/zahnarztnummer"];
/// Discharge and replacement, alone and combined (KBV_CS_SFHIR_KBV_STATUSKENNZEICHEN).
const NEVER_MULTIPLE: [&str; 5] = ["04", "14", "10", "11", "17"];
/// First and last day of authoredOn for each version of the bundle profile (gematik/api-erp, transition tables).
const IN_USE: [(&str, Date, Option<Date>); 2] =
    [("1.3", date!(2025 - 10 - 01), Some(date!(2027 - 01 - 14))), ("1.4", date!(2026 - 07 - 01), None)];

/// Checks a prescription of a patient; orders for the practice's own supply go another way and are not looked at.
pub(super) fn check(prescription: &Prescription, at: time::OffsetDateTime) -> Vec<Finding> {
    let mut findings = Vec::new();
    if let Some(supply) = prescription.resources("SupplyRequest").next() {
        findings.push(Finding::of(Rule::PracticeSupply, supply.place()));
        return findings;
    }
    counts(prescription, &mut findings);
    profiles(prescription, &mut findings);
    versions(prescription, &mut findings);
    numbers(prescription, &mut findings);
    let Some(order) = prescription.resources("MedicationRequest").next() else { return findings };
    let authored_on = order.element.value_of("authoredOn").and_then(day);
    let place = format!("{}/authoredOn", order.place());
    match authored_on {
        None => findings.push(Finding::of(Rule::AuthoredOnFormat, place)),
        Some(authored) => {
            if authored != german_day(at) {
                findings.push(Finding::of(Rule::AuthoredOn, place));
            }
            profile_date(prescription, authored, &mut findings);
        }
    }
    flow_type(prescription, &mut findings);
    dosage(order, &mut findings);
    multiple(prescription, order, authored_on, &mut findings);
    findings
}

/// Which professions prescribe with a flow type: physicians and dentists; 166 physicians only; 162 also psychotherapists.
pub(super) fn prescribers(flow_type: &str) -> &'static [&'static str] {
    match flow_type {
        "166" => &["1.2.276.0.76.4.30"],
        "162" => cades::PRESCRIBERS,
        _ => &["1.2.276.0.76.4.30", "1.2.276.0.76.4.31"],
    }
}

/// May one of these professions prescribe with this flow type?
pub(super) fn check_profession(prescription: &Prescription, professions: &[String]) -> Option<Finding> {
    let allowed = prescribers(prescription.flow_type()?);
    // A certificate without admission is not that of a professional card: a soft token or a sealing key.
    if professions.is_empty() {
        return None;
    }
    let fits = |oid: &String| allowed.contains(&oid.as_str());
    (!professions.iter().any(fits)).then(|| Finding::of(Rule::FlowTypeProfession, "Bundle/identifier/value"))
}

fn counts(prescription: &Prescription, findings: &mut Vec<Finding>) {
    for (name, rule) in [
        ("MedicationRequest", Rule::OneMedicationRequest),
        ("Coverage", Rule::OneCoverage),
        ("Medication", Rule::OneMedication),
    ] {
        if prescription.resources(name).count() != 1 {
            findings.push(Finding::of(rule, "Bundle/entry"));
        }
    }
}

/// Exactly one profile in every resource that names any: the prescription service validates against the one it finds.
fn profiles(prescription: &Prescription, findings: &mut Vec<Finding>) {
    for resource in prescription.all_resources() {
        let several = resource.element.child("meta").is_some_and(|meta| meta.children("profile").count() > 1);
        if several {
            findings.push(Finding::of(Rule::OneProfile, format!("{}/meta/profile", resource.place())));
        }
    }
}

/// What the extensions and elements of an order say of the dosage (de.fhir.medication 1.0.7, KBV_PR_ERP_Prescription).
fn dosage(order: Resource<'_>, findings: &mut Vec<Finding>) {
    let dosages: Vec<&Element<'_>> = order.element.children("dosageInstruction").collect();
    let free = dosages.iter().filter(|dosage| dosage.child("text").is_some()).count();
    let structured = dosages
        .iter()
        .any(|dosage| ["timing", "doseAndRate"].iter().any(|part| dosage.child(part).is_some()));
    let place = |part: &str| format!("{}/{part}", order.place());
    if free > 1 || (free > 0 && structured) {
        findings.push(Finding::of(Rule::DosageMixed, place("dosageInstruction")));
    }
    let flag = order.element.extension(&format!("{EXTENSIONS}KBV_EX_ERP_DosageFlag"));
    let flag = flag.and_then(|flag| flag.value_of("valueBoolean"));
    let contradicts = flag.is_some_and(|flag| (flag == "true") == dosages.is_empty());
    let generated = order.element.extension(RENDERED_DOSAGE).is_some();
    if contradicts || (generated && dosages.is_empty()) {
        findings.push(Finding::of(Rule::DosageFlag, place("extension")));
    }
}

/// `meta.versionId` in every resource or in none, by the version of the bundle profile.
fn versions(prescription: &Prescription, findings: &mut Vec<Finding>) {
    let Some(version) = prescription.profile_version() else { return };
    let wanted = version != "1.3";
    for resource in prescription.all_resources() {
        let has = resource.element.child("meta").is_some_and(|meta| meta.child("versionId").is_some());
        if has != wanted {
            findings.push(Finding::of(Rule::VersionId, format!("{}/meta", resource.place())));
        }
    }
}

fn numbers(prescription: &Prescription, findings: &mut Vec<Finding>) {
    for resource in prescription.all_resources() {
        let mut judge = |rule, fits: bool| {
            if !fits {
                findings.push(Finding::of(rule, resource.place()));
            }
        };
        for (system, value) in resource.element.pairs("system", "value") {
            if DOCTOR_NUMBERS.contains(&system) {
                judge(Rule::DoctorNumber, check_digit::doctor_number_is_valid(value));
            } else if ORGANIZATION_NUMBERS.contains(&system) {
                judge(
                    Rule::OrganizationNumber,
                    value.len() == 9 && value.bytes().all(|byte| byte.is_ascii_digit()),
                );
            } else if system == IK {
                judge(Rule::InstitutionNumber, check_digit::institution_number_is_valid(value));
            }
        }
        for (_, code) in resource.element.pairs("system", "code").into_iter().filter(|pair| pair.0 == PZN) {
            judge(Rule::PackNumber, check_digit::pack_number_is_valid(code));
        }
    }
}

fn profile_date(prescription: &Prescription, authored: Date, findings: &mut Vec<Finding>) {
    let Some(version) = prescription.profile_version() else { return };
    let Some((_, first, last)) = IN_USE.iter().find(|(known, ..)| *known == version) else { return };
    if authored < *first || last.is_some_and(|last| authored > last) {
        findings.push(Finding::of(Rule::ProfileDate, "Bundle/meta/profile"));
    }
}

fn flow_type(prescription: &Prescription, findings: &mut Vec<Finding>) {
    let place = "Bundle/identifier/value";
    let Some(flow) = prescription.flow_type() else { return };
    if !["160", "162", "166", "169", "200", "209"].contains(&flow) {
        findings.push(Finding::of(Rule::FlowType, place));
        return;
    }
    let is_private = matches!(flow, "200" | "209");
    if let Some(payer) = prescription.coverage().and_then(|coverage| coverage.payer_type())
        && flow != "166"
        && (payer == "PKV") != is_private
    {
        findings.push(Finding::of(Rule::FlowTypePayer, place));
    }
    let medication = prescription.resources("Medication").next();
    let category = medication.and_then(|medication| {
        let category =
            medication.element.extension(&format!("{EXTENSIONS}KBV_EX_ERP_Medication_Category"))?;
        category.child("valueCoding")?.value_of("code")
    });
    match (flow, category) {
        (_, Some("01")) => findings.push(Finding::of(Rule::Narcotic, "Bundle/entry")),
        ("166", Some("02")) if prescription.profile_version() != Some("1.3") => {}
        // Health apps (162) are no medicines: only what is certainly another category is wrong.
        ("162", category) if category != Some("02") => {}
        (_, None | Some("00")) if flow != "166" => {}
        _ => findings.push(Finding::of(Rule::FlowTypeCategory, place)),
    }
}

/// The extension KBV_EX_ERP_Multiple_Prescription.
fn multiple(
    prescription: &Prescription,
    order: Resource<'_>,
    authored: Option<Date>,
    findings: &mut Vec<Finding>,
) {
    let Some(extension) = order.element.extension(&format!("{EXTENSIONS}KBV_EX_ERP_Multiple_Prescription"))
    else {
        return;
    };
    let place = format!("{}/extension", order.place());
    let mut note = |rule, broken: bool| {
        if broken {
            findings.push(Finding::of(rule, place.clone()));
        }
    };
    let mark = extension.extension("Kennzeichen").and_then(|mark| mark.value_of("valueBoolean"));
    let numbering = extension.extension("Nummerierung").and_then(|found| found.child("valueRatio"));
    let period = extension.extension("Zeitraum").and_then(|found| found.child("valuePeriod"));
    if mark != Some("true") {
        note(Rule::MvoAbsent, numbering.is_some() || period.is_some());
        return;
    }
    let id = extension.extension("ID").and_then(|id| id.child("valueIdentifier")?.value_of("value"));
    let uuid = id.and_then(|id| id.strip_prefix("urn:uuid:"));
    note(Rule::MvoId, uuid.is_none_or(|uuid| uuid::Uuid::try_parse(uuid).is_err()));
    let start = period.and_then(|period| day(period.value_of("start")?));
    note(Rule::MvoStart, start.is_none_or(|start| authored.is_some_and(|authored| start < authored)));
    let end = period.and_then(|period| period.value_of("end"));
    let in_order = |end: &str| day(end).is_some_and(|end| start.is_none_or(|start| end >= start));
    note(Rule::MvoEnd, !end.is_none_or(in_order));
    let number = |part: &str| numbering?.child(part)?.value_of("value")?.parse::<u8>().ok();
    let fits = matches!((number("numerator"), number("denominator")),
        (Some(part @ 1..=4), Some(all @ 2..=4)) if part <= all);
    note(Rule::MvoNumbering, !fits);
    let basis = prescription.resources("Composition").next().and_then(|composition| {
        let basis = composition.element.extension(&format!("{EXTENSIONS}KBV_EX_FOR_Legal_basis"))?;
        basis.child("valueCoding")?.value_of("code")
    });
    note(Rule::MvoLegalBasis, basis.is_some_and(|basis| NEVER_MULTIPLE.contains(&basis)));
    note(Rule::MvoFlowType, matches!(prescription.flow_type(), Some("162" | "166")));
}

fn day(text: &str) -> Option<Date> {
    Date::parse(text, format_description!("[year]-[month]-[day]")).ok()
}

impl Prescription {
    /// First three digits of the prescription number, if it has its form.
    pub(crate) fn flow_type(&self) -> Option<&str> {
        let id = self.identifier(PRESCRIPTION_ID)?;
        check_digit::is_prescription_id_form(id).then(|| id.get(..3))?
    }
}

impl Element<'_> {
    /// The extension with this URL.
    fn extension(&self, url: &str) -> Option<&Element<'_>> {
        self.children("extension").find(|extension| extension.attribute("url") == Some(url))
    }

    /// Values of two children of one element, at any depth: `system` and `value` of identifiers, for one.
    fn pairs<'a>(&'a self, first: &'a str, second: &'a str) -> Vec<(&'a str, &'a str)> {
        let mut pairs = Vec::new();
        let mut open = vec![self];
        while let Some(element) = open.pop() {
            if let (Some(one), Some(other)) = (
                element.child(first).and_then(Element::value),
                element.child(second).and_then(Element::value),
            ) {
                pairs.push((one, other));
            }
            open.extend(element.elements());
        }
        pairs
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use time::macros::datetime;

    use super::super::tests::{PRACTICE_SUPPLY, WHOLE};
    use super::*;

    const SIGNED: time::OffsetDateTime = datetime!(2026-11-20 09:00 UTC);

    fn broken_at(text: &str, at: time::OffsetDateTime) -> Vec<Rule> {
        let prescription = Prescription::parse(Arc::new(text.into())).unwrap();
        check(&prescription, at).into_iter().map(|finding| finding.rule).collect()
    }

    /// Replaces text that must be there, and checks.
    fn broken(changes: &[(&str, &str)]) -> Vec<Rule> {
        let mut text = WHOLE.to_owned();
        for (from, to) in changes {
            assert!(text.contains(from), "{from}");
            text = text.replace(from, to);
        }
        broken_at(&text, SIGNED)
    }

    #[test]
    fn a_whole_prescription_breaks_no_rule_and_a_supply_order_is_not_looked_at_further() {
        assert_eq!(broken(&[]), []);
        assert_eq!(broken_at(PRACTICE_SUPPLY, SIGNED), [Rule::PracticeSupply]);
    }

    #[test]
    fn the_example_breaks_no_rule_on_its_day() {
        let example = include_str!("../../../examples/prescription.xml");
        assert_eq!(broken_at(example, datetime!(2026-11-22 12:00 UTC)), []);
    }

    #[test]
    fn the_day_of_signing_is_the_german_one() {
        // 23:30 in London is the next day in Berlin, in winter from 23:00, in summer from 22:00 on.
        assert_eq!(broken_at(WHOLE, datetime!(2026-11-19 23:00 UTC)), []);
        assert_eq!(broken_at(WHOLE, datetime!(2026-11-19 22:59:59 UTC)), [Rule::AuthoredOn]);
        assert_eq!(broken_at(WHOLE, datetime!(2026-11-20 23:00 UTC)), [Rule::AuthoredOn]);
        let summer = WHOLE.replace("2026-11-20", "2026-08-01");
        assert_eq!(broken_at(&summer, datetime!(2026-07-31 22:00 UTC)), []);
        assert_eq!(
            broken(&[("authoredOn value=\"2026-11-20\"", "authoredOn value=\"2026-11\"")]),
            [Rule::AuthoredOnFormat]
        );
    }

    #[test]
    fn each_version_of_the_profile_has_its_days_and_its_version_ids() {
        let without = [("<versionId value=\"1\"/>", ""), ("Bundle|1.4", "Bundle|1.3")];
        assert_eq!(broken(&without), []);
        assert_eq!(broken(&without[1..]), [Rule::VersionId; 6]);
        assert_eq!(broken(&without[..1]), [Rule::VersionId; 6]);
        let on = |day: &str, version: &str| {
            let text = WHOLE.replace("2026-11-20", day).replace("Bundle|1.4", version);
            let text =
                if version == "Bundle|1.3" { text.replace("<versionId value=\"1\"/>", "") } else { text };
            let at = Date::parse(day, format_description!("[year]-[month]-[day]")).unwrap();
            broken_at(&text, at.with_hms(12, 0, 0).unwrap().assume_utc())
        };
        assert_eq!(on("2027-01-14", "Bundle|1.3"), []);
        assert_eq!(on("2027-01-15", "Bundle|1.3"), [Rule::ProfileDate]);
        assert_eq!(on("2026-06-30", "Bundle|1.4"), [Rule::ProfileDate]);
        assert_eq!(on("2027-01-15", "Bundle|1.4"), []);
    }

    #[test]
    fn each_broken_number_and_count_is_named() {
        let cases: [(&str, &str, &[Rule]); 10] = [
            ("123456628", "123456728", &[Rule::DoctorNumber]),
            ("109500969", "109500960", &[Rule::InstitutionNumber]),
            ("00814665", "00814666", &[Rule::PackNumber]),
            ("160.100.000.000.006.24", "161.100.000.000.006.24", &[Rule::FlowType]),
            ("\"GKV\"", "\"PKV\"", &[Rule::FlowTypePayer]),
            (
                "code value=\"00\"/></valueCoding></extension><!--category",
                "code value=\"01\"/></valueCoding></extension><!--category",
                &[Rule::Narcotic],
            ),
            (
                "code value=\"00\"/></valueCoding></extension><!--category",
                "code value=\"02\"/></valueCoding></extension><!--category",
                &[Rule::FlowTypeCategory],
            ),
            (
                "code value=\"00\"/></valueCoding></extension><!--category",
                "code value=\"03\"/></valueCoding></extension><!--category",
                &[Rule::FlowTypeCategory],
            ),
            ("Coverage>", "Basic>", &[Rule::OneCoverage]),
            (
                "</Medication>",
                "</Medication></resource><resource><Medication><meta><versionId value=\"1\"/></meta></Medication>",
                &[Rule::OneMedication],
            ),
        ];
        for (from, to, expected) in cases {
            assert_eq!(broken(&[(from, to)]), expected, "{from} -> {to}");
        }
    }

    #[test]
    fn dosages_profiles_and_numbers_of_practices_are_checked() {
        let with = |more: &str| broken(&[("<authoredOn", &format!("{more}<authoredOn"))]);
        let flag = |value: &str| {
            format!(
                "<extension url=\"{EXTENSIONS}KBV_EX_ERP_DosageFlag\"><valueBoolean value=\"{value}\"/></extension>"
            )
        };
        let (text, timing) = ("<text value=\"1-0-0-0\"/>", "<timing><code/></timing>");
        let dosage = |parts: &str| format!("<dosageInstruction>{parts}</dosageInstruction>");
        assert_eq!(with(&(flag("true") + &dosage(text))), []);
        assert_eq!(with(&(flag("true") + &dosage(timing) + &dosage(timing))), []);
        assert_eq!(with(&dosage(&format!("{text}{timing}"))), [Rule::DosageMixed]);
        assert_eq!(with(&(dosage(text) + &dosage(text))), [Rule::DosageMixed]);
        assert_eq!(with(&flag("true")), [Rule::DosageFlag]);
        assert_eq!(with(&(flag("false") + &dosage(text))), [Rule::DosageFlag]);
        let rendered =
            format!("<extension url=\"{RENDERED_DOSAGE}\"><valueMarkdown value=\"1\"/></extension>");
        assert_eq!(with(&(flag("false") + &rendered)), [Rule::DosageFlag]);
        let number = |value: &str| {
            format!(
                "<contained><identifier><system value=\"{}\"/><value value=\"{value}\"/></identifier></contained>",
                ORGANIZATION_NUMBERS[1]
            )
        };
        assert_eq!(with(&number("109719018")), []);
        assert_eq!(with(&number("109719018000")), [Rule::OrganizationNumber]);
        let twice = "<versionId value=\"1\"/><profile value=\"a\"/><profile value=\"b\"/>";
        assert_eq!(broken(&[("<versionId value=\"1\"/>", twice)]), [Rule::OneProfile; 6]);
    }

    #[test]
    fn each_rule_of_multiple_prescriptions_is_checked() {
        assert_eq!(
            broken(&[("valueBoolean value=\"true\"", "valueBoolean value=\"false\"")]),
            [Rule::MvoAbsent]
        );
        for (from, to, rule) in [
            ("urn:uuid:24e2", "urn:oid:24e2", Rule::MvoId),
            ("start value=\"2026-11-20\"", "start value=\"2026-11-19\"", Rule::MvoStart),
            ("<start value=\"2026-11-20\"/>", "", Rule::MvoStart),
            ("end value=\"2027-03-31\"", "end value=\"2026-11-19\"", Rule::MvoEnd),
            ("<numerator><value value=\"1\"", "<numerator><value value=\"5\"", Rule::MvoNumbering),
            ("<denominator><value value=\"4\"", "<denominator><value value=\"1\"", Rule::MvoNumbering),
            (
                "code value=\"00\"/></valueCoding></extension><!--basis",
                "code value=\"04\"/></valueCoding></extension><!--basis",
                Rule::MvoLegalBasis,
            ),
        ] {
            assert_eq!(broken(&[(from, to)]), [rule], "{from} -> {to}");
        }
        let flow = broken(&[("160.100", "162.100")]);
        assert_eq!(flow, [Rule::MvoFlowType]);
    }

    #[test]
    fn only_the_right_professions_prescribe() {
        let may = |flow: &str, profession: &str| {
            let text = WHOLE.replace("160.100", &format!("{flow}.100"));
            let prescription = Prescription::parse(Arc::new(text.into())).unwrap();
            check_profession(&prescription, &[format!("1.2.276.0.76.4.{profession}")]).is_none()
        };
        assert!(may("160", "30") && may("160", "31") && may("162", "45") && may("166", "30"));
        assert!(!may("160", "32") && !may("160", "45") && !may("166", "31") && !may("169", "3"));
    }
}
