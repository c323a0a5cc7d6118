//! `pulse token`: an operator's token for a database whose services run in processes of their own. `pulse up` makes the first one itself;
//! here somebody who may write to the database does, when it is needed. The token is shown or written once and kept only as its hash.

use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use pulse_domain::credential::SecretToken;
use pulse_runtime::Clock;
use pulse_store::RegistryStore;

use crate::bootstrap::{forget_tokens, operator_token};
use crate::console::Console;
use crate::database::{DatabaseUrl, PoolArguments, Target};

#[derive(Debug, Clone, clap::Args)]
pub(crate) struct TokenSettings {
    /// The database: sqlite:FILE or postgres://USER:PASSWORD@HOST/NAME
    #[arg(long, env = "PULSE_DATABASE", hide_env_values = true, default_value = "sqlite:pulse-data/pulse.db", value_name = "URL")]
    database: DatabaseUrl,
    /// What the token is called in the list of tokens
    #[arg(long, default_value = "operator", value_name = "NAME")]
    name: String,
    /// Deletes operators' tokens of that name first
    #[arg(long)]
    replace: bool,
    /// Writes the token to this file, which only its owner can read, instead of showing it
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
}

/// Makes the token.
///
/// # Errors
/// The database's, and the file's.
pub(crate) async fn token(settings: TokenSettings) -> anyhow::Result<()> {
    let target = settings.database.target()?;
    if let Target::Sqlite(file) = &target
        && !file.exists()
    {
        bail!("there is no database {}: --database (PULSE_DATABASE) names the one that the services use", file.display());
    }
    let store = target.open().await?.pool("token", &PoolArguments::default()).await?;
    let made = make(store.as_ref(), &settings).await;
    store.close().await;
    made
}

async fn make(store: &dyn RegistryStore, settings: &TokenSettings) -> anyhow::Result<()> {
    if settings.replace {
        forget_tokens(store, &settings.name).await.context("the tokens of that name cannot be deleted")?;
    }
    let made = operator_token(store, &settings.name, Clock::system().now()).await;
    let (_, secret) = made.context("the token cannot be made")?;
    match &settings.file {
        None => Console::result(secret.reveal()),
        Some(file) => write(file, &secret).with_context(|| format!("the token cannot be written to {}", file.display()))?,
    }
    Ok(())
}

/// At no moment is there a file that others can read, or half of one.
fn write(file: &Path, secret: &SecretToken) -> std::io::Result<()> {
    let draft = file.with_extension("new");
    match std::fs::remove_file(&draft) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut written = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft)?;
    writeln!(written, "{}", secret.reveal())?;
    written.sync_all()?;
    std::fs::rename(&draft, file)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_written_token_is_its_owners_alone_even_where_a_file_was_everybodys() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("operator");
        std::fs::write(&file, "old").unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).unwrap();
        write(&file, &SecretToken::from_text("hush")).unwrap();
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "hush\n");
        assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
