//! The objects of a card as its profile defines them.

use super::AccessRules;
use crate::crypto::Rights;

/// The object system of one profile.
#[derive(Debug)]
pub(crate) struct Layout {
    /// Name of the product, for people.
    pub(crate) title: String,
    /// Answer to reset.
    pub(crate) atr: Vec<u8>,
    /// Whose card it is.
    pub(crate) kind: CardKind,
    /// Which commands the card knows.
    pub(crate) dialect: Dialect,
    /// Version of the applet, where a card tells it.
    pub(crate) applet: Option<u8>,
    /// Number of logical channels, the basic one included.
    pub(crate) channels: usize,
    /// Shorthands for conditions, kept for documentation.
    pub(crate) folders: Vec<Folder>,
    pub(crate) files: Vec<File>,
    pub(crate) passwords: Vec<Password>,
    pub(crate) keys: Vec<Key>,
}

/// Whose card it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
pub(crate) enum CardKind {
    #[serde(rename = "hpc")]
    Professional,
    #[serde(rename = "smc-b")]
    Institution,
    #[serde(rename = "egk")]
    Insured,
    /// Nobody's: a security module in a device.
    #[serde(rename = "device")]
    Device,
}

/// The set of commands a card knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Dialect {
    /// gemSpec_COS.
    #[default]
    Cos,
    /// NIST SP 800-73-4.
    Piv,
    /// The Estonian ID card of 2018.
    Esteid,
    /// The Belgian eID card.
    Beid,
    /// The Japanese individual number card.
    Jpki,
    /// The French Carte Vitale 2.
    Vitale,
    /// The German insurance card of the first kind, in a terminal that offers it.
    Kvk,
}

/// The master file or an application.
#[derive(Debug)]
pub(crate) struct Folder {
    /// Position in [`Layout::folders`]; the master file is 0.
    pub(crate) id: usize,
    /// Path such as `MF/DF.QES`.
    pub(crate) path: String,
    /// Position of the folder it lies in.
    pub(crate) parent: Option<usize>,
    pub(crate) aid: Vec<u8>,
    pub(crate) fid: Option<u16>,
    pub(crate) access: AccessRules,
}

/// An elementary file.
#[derive(Debug)]
pub(crate) struct File {
    /// Position in [`Layout::files`].
    pub(crate) id: usize,
    /// The folder it lies in.
    pub(crate) folder: usize,
    pub(crate) path: String,
    pub(crate) fid: u16,
    pub(crate) sfid: Option<u8>,
    pub(crate) structure: Structure,
    /// Allocated bytes (FCP tag 80).
    pub(crate) size: usize,
    /// Where the first content comes from.
    pub(crate) content: Content,
    pub(crate) access: AccessRules,
}

/// Shape of an elementary file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Structure {
    Transparent,
    LinearFixed { max_records: usize, length: usize, life_cycle: bool },
    LinearVariable { max_records: usize, max_length: usize, life_cycle: bool },
    Cyclic { max_records: usize, length: usize },
}

/// Content of a file on a new card.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Content {
    Empty,
    Bytes(Vec<u8>),
    Records(Vec<Vec<u8>>),
    /// EF.GDO: the card's serial number.
    Iccsn,
    /// The certificate of the key of the same name in the same folder.
    Certificate,
    /// The card-verifiable certificate of the key of the same name, or of the authority that issued it.
    CvCertificate,
    /// Cardholder unique identifier of a PIV card.
    CardholderId,
    /// Number of an identity document, made of the serial number.
    DocumentNumber,
    /// The same as an OCTET STRING.
    DocumentNumberString,
    /// The certificate of the authority that issued the certificates in the same folder.
    IssuerCertificate,
    /// A file of the Belgian card.
    Belgian(BelgianFile),
    /// EF.SSEC: signatures per PIN entry.
    SignatureBudget,
    PersonalData,
    InsuranceData,
    ProtectedData,
    StatusData,
}

/// What the files of a Belgian card are about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BelgianFile {
    /// Name and serial number of the card (ISO/IEC 7816-15).
    TokenInfo,
    /// Who the holder is.
    Identity,
    /// The national register's signature of it.
    IdentitySignature,
    /// Where the holder lives.
    Address,
    /// The national register's signature of it.
    AddressSignature,
    /// A portrait, JPEG.
    Photo,
    /// The certificate of the national register.
    RegisterCertificate,
}

/// A password object: a PIN, or a further reference to one.
#[derive(Debug)]
pub(crate) struct Password {
    /// Position in [`Layout::passwords`].
    pub(crate) id: usize,
    pub(crate) folder: usize,
    pub(crate) path: String,
    pub(crate) name: String,
    /// P2 of the PIN commands: the identifier, with bit 8 set inside an application.
    pub(crate) reference: u8,
    pub(crate) secret: Secret,
    /// Uses per VERIFY (SSec) by security environment 1 and 2; `None` is unlimited.
    pub(crate) uses_per_verify: [Option<u32>; 2],
    pub(crate) enabled: bool,
    pub(crate) access: AccessRules,
}

/// Where the value of a password object lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Secret {
    Own {
        min: usize,
        max: usize,
        tries: u8,
        puk_uses: u8,
        transport: Transport,
    },
    /// Value and retry counter of another password (its position); own status and enabled flag.
    SharedWith(usize),
}

/// Transport protection of a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Transport {
    /// A transport value one digit shorter than the minimum must be changed first.
    #[serde(rename = "transport")]
    Protected,
    /// No value yet.
    Empty,
    /// An ordinary password.
    Regular,
}

/// A key object.
#[derive(Debug)]
pub(crate) struct Key {
    /// Position in [`Layout::keys`].
    pub(crate) id: usize,
    pub(crate) folder: usize,
    pub(crate) path: String,
    pub(crate) name: String,
    /// Key reference for one-byte key numbers, with bit 8 set inside an application.
    pub(crate) reference: Option<u8>,
    pub(crate) kind: KeyKind,
    /// Allowed algorithms in security environment 1 and 2.
    pub(crate) algorithms: [Vec<Algorithm>; 2],
    /// Whether a new card carries a value.
    pub(crate) present: bool,
    /// What a root key for card-verifiable certificates is for; `None` for every other key.
    pub(crate) anchor: Option<Anchor>,
    pub(crate) access: AccessRules,
}

/// What a root key for card-verifiable certificates hands on.
#[derive(Debug)]
pub(crate) struct Anchor {
    /// The most that certificates under it can give.
    pub(crate) rights: Rights,
    /// Access rules of keys imported under it that verify certificates.
    pub(crate) verification_access: AccessRules,
    /// Access rules of keys imported under it that authenticate cards.
    pub(crate) authentication_access: AccessRules,
}

impl Key {
    /// Algorithms allowed in a security environment.
    pub(crate) fn algorithms_in(&self, environment: u8) -> &[Algorithm] {
        let [first, second] = &self.algorithms;
        match environment {
            1 => first,
            2 => second,
            _ => &[],
        }
    }

    /// Whether the simulator generates a private key for it.
    pub(crate) fn is_private(&self) -> bool {
        matches!(self.kind, KeyKind::EcPrivate(_) | KeyKind::RsaPrivate { .. })
    }
}

/// Kind of a key object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum KeyKind {
    EcPrivate(Curve),
    RsaPrivate {
        bits: usize,
    },
    /// Root key for card-verifiable certificates.
    EcPublic,
    /// Secure-messaging key of a card management system.
    Aes,
    /// Card access number for PACE.
    Pace,
}

/// Elliptic curves of card keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Curve {
    BrainpoolP256r1,
    P256,
    P384,
}

/// Algorithms a private key may be selected with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Algorithm {
    SignEcdsa,
    SignPkcs1,
    SignPss,
    RsaClientAuthentication,
    RsaDecipherOaep,
    ElcSharedSecret,
    ElcRoleAuthentication,
    ElcSessionKey4Sm,
    ElcSessionKey4Tc,
    ElcAsynchronAdmin,
}

impl Layout {
    /// The master file.
    pub(crate) fn master(&self) -> &Folder {
        static_first(&self.folders)
    }

    pub(crate) fn folder(&self, id: usize) -> &Folder {
        self.folders.get(id).unwrap_or_else(|| self.master())
    }

    /// The folder with an application identifier.
    pub(crate) fn application(&self, aid: &[u8]) -> Option<&Folder> {
        self.folders.iter().find(|folder| folder.aid == aid)
    }

    /// Whether `ancestor` is `folder` or lies above it.
    pub(crate) fn is_within(&self, folder: usize, ancestor: usize) -> bool {
        let mut current = Some(folder);
        while let Some(id) = current {
            if id == ancestor {
                return true;
            }
            current = self.folder(id).parent;
        }
        false
    }

    /// The password a reference means in a folder: bit 8 set is the folder's own, otherwise the master file's.
    pub(crate) fn password(&self, folder: usize, reference: u8) -> Option<&Password> {
        let folder = if reference & 0x80 == 0 { 0 } else { folder };
        self.passwords.iter().find(|p| p.folder == folder && p.reference == reference)
    }

    /// The key a reference means in a folder, by the same rule.
    pub(crate) fn key(&self, folder: usize, reference: u8) -> Option<&Key> {
        let folder = if reference & 0x80 == 0 { 0 } else { folder };
        self.keys.iter().find(|key| key.folder == folder && key.reference == Some(reference))
    }

    /// The password that holds value and retry counter of a password object.
    pub(crate) fn owner<'l>(&'l self, password: &'l Password) -> &'l Password {
        match password.secret {
            Secret::Own { .. } => password,
            Secret::SharedWith(id) => self.passwords.get(id).unwrap_or(password),
        }
    }
}

/// The parser guarantees a first folder; an empty list never leaves it.
fn static_first(folders: &[Folder]) -> &Folder {
    match folders {
        [first, ..] => first,
        [] => &NO_FOLDER,
    }
}

static NO_FOLDER: Folder = Folder {
    id: 0,
    path: String::new(),
    parent: None,
    aid: Vec::new(),
    fid: None,
    access: AccessRules::none(),
};
