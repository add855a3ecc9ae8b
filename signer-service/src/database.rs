//! Where the service keeps its state: an SQLite file of its own, or a PostgreSQL that several nodes share.
//!
//! One set of statements serves both ([sqlx's `Any`](sqlx::any)); what differs - who may write at the same time, and who
//! holds an idempotency key - is told by [`Database::is_shared`]. Statements are checked at run time: a build needs no
//! database.

mod location;

use std::{os::unix::fs::OpenOptionsExt, path::Path, time::Duration};

use sqlx::{
    AnyPool, ConnectOptions, Executor, SqlSafeStr,
    any::{AnyConnectOptions, AnyPoolOptions},
    migrate::{Migration, MigrationType, Migrator},
};
use thiserror::Error;

pub use location::{Location, LocationError};

/// The tables, brought up to date when the database is opened: number, description, statements. Written out here because
/// sqlx's macro for it would build sqlx and SQLite a second time, for the compiler.
const MIGRATIONS: [(i64, &str, &str); 7] = [
    (1, "audit", include_str!("../migrations/0001_audit.sql")),
    (2, "chain", include_str!("../migrations/0002_chain.sql")),
    (3, "nodes", include_str!("../migrations/0003_nodes.sql")),
    (4, "comfort", include_str!("../migrations/0004_comfort.sql")),
    (5, "emergency", include_str!("../migrations/0005_emergency.sql")),
    (6, "card", include_str!("../migrations/0006_card.sql")),
    (7, "reviews", include_str!("../migrations/0007_reviews.sql")),
];
/// Connections to a PostgreSQL for short statements, and for calls at work with an idempotency key: each of these holds
/// one until its answer is recorded, so they must not take the others'.
const SHORT: u32 = 8;
const HELD: u32 = 24;
/// How long a call waits for a connection.
const PATIENCE: Duration = Duration::from_secs(10);

/// An open database.
#[derive(Debug, Clone)]
pub struct Database {
    /// For short statements.
    pub(crate) pool: AnyPool,
    /// For calls that hold a key; none where nobody else could.
    pub(crate) held: Option<AnyPool>,
}

/// Why a database cannot be opened.
#[derive(Debug, Error)]
pub enum DatabaseError {
    /// The place.
    #[error("audit.database: {0}")]
    Location(#[from] LocationError),
    /// The file cannot be created.
    #[error("audit.database: {path}: {source}")]
    File {
        /// The file.
        path: String,
        /// What the system says.
        source: std::io::Error,
    },
    /// The file is no database or a broken one, or the server refuses.
    #[error("audit.database: {location}: expected {}: {source}", .location.expected())]
    Open {
        /// Which.
        location: Location,
        /// What the database says.
        source: sqlx::Error,
    },
    /// The tables cannot be brought up to date.
    #[error("audit.database: {location}: expected tables of this version or an earlier one: {source}")]
    Migration {
        /// Which.
        location: Location,
        /// What does not fit.
        source: sqlx::migrate::MigrateError,
    },
}

impl Database {
    /// Opens or creates the database and brings its tables up to date.
    ///
    /// # Errors
    /// [`DatabaseError`]; tables made by a later version, among others.
    pub async fn open(location: &Location) -> Result<Database, DatabaseError> {
        if let Location::Sqlite(path) = location {
            let file = |source| DatabaseError::File { path: path.display().to_string(), source };
            create_private(path).map_err(file)?;
        }
        let database = Database::connect(location, "rw").await?;
        let migrated = migrator().run(&database.pool).await;
        migrated.map_err(|source| DatabaseError::Migration { location: location.clone(), source })?;
        Ok(database)
    }

    /// Opens an existing database for reading only; the service may be running on it.
    ///
    /// # Errors
    /// [`DatabaseError`].
    pub async fn open_to_read(location: &Location) -> Result<Database, DatabaseError> {
        Database::connect(location, "ro").await
    }

    /// Could the database be used? Changes nothing.
    ///
    /// # Errors
    /// The folder of the file does not exist, or the server refuses.
    pub async fn check(location: &Location) -> Result<(), DatabaseError> {
        match location {
            Location::Sqlite(path) => {
                let folder = path.parent().unwrap_or(path);
                let file = |source| DatabaseError::File { path: path.display().to_string(), source };
                std::fs::read_dir(folder).map(|_| ()).map_err(file)
            }
            Location::Postgres(_) | Location::Unknown => {
                Database::open_to_read(location).await?.close().await;
                Ok(())
            }
        }
    }

    /// Do other nodes work on it?
    pub fn is_shared(&self) -> bool {
        self.held.is_some()
    }

    /// Waits for running writes and closes the database.
    pub async fn close(self) {
        if let Some(held) = self.held {
            held.close().await;
        }
        self.pool.close().await;
    }

    async fn connect(location: &Location, mode: &str) -> Result<Database, DatabaseError> {
        sqlx::any::install_default_drivers();
        let options: AnyConnectOptions = location.url(mode)?.parse().map_err(|_| LocationError::Url)?;
        let options = options.disable_statement_logging();
        let open = |source| DatabaseError::Open { location: location.clone(), source };
        let (pool, held) = match location {
            // One connection: SQLite has one writer, and a record relies on nobody writing between it and the one
            // before. A record that was acknowledged survives a power cut.
            Location::Sqlite(_) => {
                (pool(1, "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL").connect_with(options), None)
            }
            Location::Postgres(_) | Location::Unknown => {
                let rights = match mode {
                    "ro" => "SET default_transaction_read_only = on",
                    _ => "SET default_transaction_read_only = off",
                };
                let held = pool(HELD, rights).connect_lazy_with(options.clone());
                (pool(SHORT, rights).connect_with(options), Some(held))
            }
        };
        Ok(Database { pool: pool.await.map_err(open)?, held })
    }
}

/// Places for the values of so many rows: `($1, $2), ($3, $4)`.
pub(crate) fn places(rows: usize, columns: usize) -> String {
    let row = |row: usize| {
        let row: Vec<_> = (1..=columns).map(|column| format!("${}", row * columns + column)).collect();
        format!("({})", row.join(", "))
    };
    (0..rows).map(row).collect::<Vec<_>>().join(", ")
}

fn pool(connections: u32, first: &'static str) -> AnyPoolOptions {
    AnyPoolOptions::new().max_connections(connections).acquire_timeout(PATIENCE).after_connect(
        move |connection, _| Box::pin(async move { connection.execute(first).await.map(|_| ()) }),
    )
}

/// Creates an empty file that only its owner can read; an existing one stays as it is.
fn create_private(path: &Path) -> std::io::Result<()> {
    std::fs::OpenOptions::new().create(true).append(true).mode(0o600).open(path).map(|_| ())
}

fn migrator() -> Migrator {
    let migration = |(number, description, statements): (i64, &'static str, &'static str)| {
        Migration::new(number, description.into(), MigrationType::Simple, statements.into_sql_str(), false)
    };
    Migrator::with_migrations(MIGRATIONS.into_iter().map(migration).collect())
}
