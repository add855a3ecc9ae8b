//! The pages: plain HTML without scripts, so that they work in every browser and with every screen reader, and a content
//! security policy that lets nothing else in.

use std::fmt::Write;

use super::texts::{Language, Problem};

/// A card that can be chosen.
pub(super) struct Card {
    /// What the form sends.
    pub(super) key: String,
    /// Label of its token.
    pub(super) label: String,
    /// End of its number.
    pub(super) serial_suffix: String,
    /// Place of the reader.
    pub(super) slot: String,
}

/// What the login page shows.
pub(super) struct Login<'a> {
    pub(super) language: Language,
    /// Names the login, and proves that the form is from this page.
    pub(super) secret: &'a str,
    pub(super) application: &'a str,
    pub(super) scopes: &'a [String],
    pub(super) cards: &'a [Card],
    /// The card that was chosen before.
    pub(super) chosen: Option<&'a str>,
    /// What went wrong before.
    pub(super) trouble: Option<&'static str>,
    pub(super) last_try: bool,
}

/// The style of all pages.
pub(super) const STYLE: &str = "\
:root { color-scheme: light dark; }
body { font: 1.1rem/1.5 system-ui, sans-serif; max-width: 34rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; }
fieldset { border: 1px solid; border-radius: .4rem; margin: 1rem 0; }
label { display: block; padding: .3rem 0; }
input[type=password] { font: inherit; display: block; width: 12rem; padding: .4rem; }
button { font: inherit; padding: .5rem 1.2rem; margin: 1rem .5rem 0 0; }
[role=alert] { border-left: .4rem solid #b00020; padding: .3rem .8rem; }
small { display: block; }
";

/// The page on which a card is chosen and its PIN entered.
pub(super) fn login(login: &Login<'_>) -> String {
    let texts = login.language.texts();
    let mut body = format!("<h1>{}</h1>\n", texts.title);
    if let Some(trouble) = login.trouble {
        line(&mut body, &format!("<p role=\"alert\">{}</p>", escape(trouble)));
    }
    line(&mut body, &format!("<p><strong>{}</strong> {}</p>\n<ul>", escape(login.application), texts.wants));
    for scope in login.scopes {
        line(&mut body, &format!("<li><code>{}</code></li>", escape(scope)));
    }
    line(&mut body, &format!("</ul>\n<p><small>{}</small></p>", texts.scopes));
    line(&mut body, "<form method=\"post\" action=\"/login\" autocomplete=\"off\">");
    line(&mut body, &format!("<input type=\"hidden\" name=\"login\" value=\"{}\">", escape(login.secret)));
    if login.cards.is_empty() {
        line(&mut body, &format!("<p role=\"status\">{}</p>", texts.no_card));
        line(&mut body, &format!("<button name=\"do\" value=\"look\">{}</button>", texts.look_again));
    } else {
        cards(&mut body, login);
        pin(&mut body, login);
        line(&mut body, &format!("<button name=\"do\" value=\"log-in\">{}</button>", texts.log_in));
    }
    line(&mut body, &format!("<button name=\"do\" value=\"cancel\">{}</button>\n</form>", texts.cancel));
    whole(login.language, &body)
}

/// A page that only says why there is no login.
pub(super) fn problem(language: Language, problem: Problem) -> String {
    let title = language.texts().title;
    whole(language, &format!("<h1>{title}</h1>\n<p role=\"alert\">{}</p>\n", language.problem(problem)))
}

fn cards(body: &mut String, login: &Login<'_>) {
    let texts = login.language.texts();
    line(body, &format!("<fieldset><legend>{}</legend>", texts.card));
    for (index, card) in login.cards.iter().enumerate() {
        let chosen = login.chosen.map_or(index == 0, |key| key == card.key);
        let checked = if chosen { " checked" } else { "" };
        let (key, label, slot) = (escape(&card.key), escape(&card.label), escape(&card.slot));
        let ends = format!("{} {}", texts.number, escape(&card.serial_suffix));
        line(
            body,
            &format!(
                "<label><input type=\"radio\" name=\"card\" value=\"{key}\" required{checked}> {label}, {ends} ({slot})</label>"
            ),
        );
    }
    line(body, "</fieldset>");
}

fn pin(body: &mut String, login: &Login<'_>) {
    let texts = login.language.texts();
    line(body, &format!("<label for=\"pin\">{}</label>", texts.pin));
    line(
        body,
        "<input type=\"password\" id=\"pin\" name=\"pin\" inputmode=\"numeric\" autocomplete=\"off\" maxlength=\"16\" \
         aria-describedby=\"pin-hint\" autofocus>",
    );
    line(body, &format!("<small id=\"pin-hint\">{} {}</small>", texts.pin_hint, texts.pin_pad));
    if login.last_try {
        let box_ = "<input type=\"checkbox\" name=\"last_try\" value=\"yes\">";
        line(body, &format!("<label>{box_} {}</label>", texts.last_try));
    }
}

fn whole(language: Language, body: &str) -> String {
    let texts = language.texts();
    format!(
        "<!doctype html>\n<html lang=\"{}\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>{}</title>\n\
         <link rel=\"stylesheet\" href=\"/style.css\">\n</head>\n<body>\n<main>\n{body}</main>\n</body>\n</html>\n",
        texts.lang, texts.title
    )
}

fn line(body: &mut String, text: &str) {
    let _ = writeln!(body, "{text}");
}

/// Text in elements and in quoted attributes.
fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            other => safe.push(other),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(cards: &[Card], trouble: Option<&'static str>, last_try: bool) -> String {
        let scopes = ["patient/<b>.rs".to_owned()];
        let language = Language::German;
        let (secret, application) = ("s", "Ward <script>alert(1)</script>");
        login(&Login {
            language,
            secret,
            application,
            scopes: &scopes,
            cards,
            chosen: None,
            trouble,
            last_try,
        })
    }

    fn card() -> Card {
        let (key, label) = ("k\"".to_owned(), "HPC & Co".to_owned());
        Card { key, label, serial_suffix: "1234".into(), slot: "reader".into() }
    }

    #[test]
    fn what_applications_and_cards_say_stays_text() {
        let page = shown(&[card()], None, false);
        assert!(page.contains("Ward &lt;script&gt;alert(1)&lt;/script&gt;"), "{page}");
        assert!(page.contains("patient/&lt;b&gt;.rs") && page.contains("value=\"k&quot;\""), "{page}");
        assert!(page.contains("HPC &amp; Co") && !page.contains("<script"), "{page}");
    }

    #[test]
    fn every_field_has_a_label_and_troubles_are_announced() {
        let page = shown(&[card()], Some("trouble"), true);
        assert!(page.contains("<label for=\"pin\">") && page.contains("lang=\"de\""), "{page}");
        assert!(
            page.contains("<p role=\"alert\">trouble</p>") && page.contains("name=\"last_try\""),
            "{page}"
        );
        assert!(!shown(&[card()], None, false).contains("last_try"));
    }

    #[test]
    fn without_a_card_no_pin_is_asked_for() {
        let page = shown(&[], None, false);
        assert!(!page.contains("name=\"pin\"") && page.contains("value=\"look\""), "{page}");
    }
}
