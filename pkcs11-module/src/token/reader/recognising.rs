//! Which card is in a reader, and what is on it: read once for an insertion, an application at a time.

use card::hpc::{CardError, Clue, Hpc, OpenError};
use card::profile::{Application, Profile};
use card::transport::{Transport, TransportError};

use super::{Link, Reader};
use crate::error::{Error, Result};
use crate::token::lock;
use crate::token::view::{TokenView, View};

impl Reader {
    /// The token in a slot with its objects. The first call after an insertion reads them.
    pub(crate) fn token(&self, application: Application) -> Result<TokenView> {
        self.look(application, View::token)
    }

    /// The token in a slot without its objects. The first call after an insertion learns which card it is.
    pub(crate) fn face(&self, application: Application) -> Result<TokenView> {
        self.look(application, View::face)
    }

    /// Asks the view, and the card as long as the view has no answer.
    fn look(
        &self,
        application: Application,
        known: fn(&mut View, Application) -> Option<Result<TokenView>>,
    ) -> Result<TokenView> {
        if let Some(known) = known(&mut lock(&self.view), application) {
            return known;
        }
        let mut link = self.link()?;
        // Somebody may have read it while we waited.
        if let Some(known) = known(&mut lock(&self.view), application) {
            return known;
        }
        let generation = self.generation();
        if link.as_ref().is_none_or(|link| link.generation != generation) {
            self.recognise_card(&mut link, application)?;
        }
        if let Some(known) = known(&mut lock(&self.view), application) {
            return known;
        }
        self.read_card(&mut link, application)?;
        known(&mut lock(&self.view), application).unwrap_or(Err(Error::TokenNotPresent))
    }

    /// Some cards show a certificate only after the PIN in front of it.
    pub(super) fn note_more_objects(&self, link: &Option<Link>, generation: u64) {
        let mut view = lock(&self.view);
        if let Some(Link { hpc, .. }) = link.as_ref().filter(|_| view.generation == generation) {
            view.accept(hpc, self.source.config());
        }
    }

    /// Reads what an application needs from the card that is in the reader.
    fn read_card(&self, link: &mut Option<Link>, application: Application) -> Result<()> {
        let generation = self.generation();
        let mut look = || self.work(link, generation, |hpc| hpc.look_at(application));
        let looked = match look() {
            // Nothing but reading was interrupted.
            Err(Error::Card(CardError::Reset)) => look(),
            Err(Error::Card(CardError::Removed)) => Err(Error::TokenNotPresent),
            result => result,
        };
        let mut view = lock(&self.view);
        if let Some(Link { hpc, .. }) = link.as_ref().filter(|_| view.generation == generation) {
            if looked.is_err() {
                view.slot(application)?.failures += 1;
            }
            view.accept(hpc, self.source.config());
            self.remember(hpc);
        }
        looked
    }

    /// Learns which card is in the reader now.
    fn recognise_card(&self, link: &mut Option<Link>, application: Application) -> Result<()> {
        let (name, generation) = {
            let view = lock(&self.view);
            (view.name.clone().ok_or(Error::TokenNotPresent)?, view.generation)
        };
        *link = None;
        let open = || {
            let card = self.source.connect(&name, &self.commands).map_err(OpenError::from)?;
            self.open(card, application)
        };
        let opened = match open() {
            // Nothing but reading was interrupted.
            Err(OpenError::Transport(TransportError::Reset)) => open(),
            result => result,
        };
        let mut view = lock(&self.view);
        if view.generation != generation {
            return Err(Error::TokenNotPresent);
        }
        match opened {
            Ok(hpc) => {
                tracing::info!(
                    reader = name,
                    card = hpc.profile().name,
                    number = issuer_only(hpc.iccsn()),
                    commands = hpc.traffic().commands,
                    "card recognised"
                );
                view.accept(&hpc, self.source.config());
                *link = Some(Link { generation, hpc });
                Ok(())
            }
            Err(error) => {
                tracing::info!(reader = name, %error, "card not read");
                view.refuse(&error);
                Err(error.into())
            }
        }
    }

    /// Opens a card, with its certificates from the cache if they are there.
    fn open(
        &self,
        card: Box<dyn Transport>,
        application: Application,
    ) -> std::result::Result<Hpc, OpenError> {
        *lock(&self.hang_up) = card.hang_up();
        let hpc = match self.source.cache() {
            Some(cache) => {
                let recall = |profile: &Profile, clue: Clue<'_>| cache.recall(&profile.name, clue);
                Hpc::recognise(card, application, Some(&recall))
            }
            None => Hpc::recognise(card, application, None),
        }?;
        self.remember(&hpc);
        Ok(hpc)
    }

    fn remember(&self, hpc: &Hpc) {
        if let (Some(cache), Some(certificates)) = (self.source.cache(), hpc.to_remember()) {
            cache.store(&hpc.profile().name, hpc.iccsn(), &certificates);
        }
    }
}

/// A card's number as a log may show it: card type, country and issuer (ITU-T E.118), but not which card.
fn issuer_only(iccsn: &str) -> String {
    let (issuer, card) = iccsn.split_at_checked(10).unwrap_or_default();
    format!("{issuer}{}", "*".repeat(card.len()))
}
