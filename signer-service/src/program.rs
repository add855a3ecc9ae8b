//! The program: reads the command line, runs what it names, prints what comes of it.
//!
//! Here and not in `main.rs`, because asynchronous code is compiled where it is waited for: there it would be all of the
//! service a second time.

use std::process::ExitCode;

use crate::{
    audit,
    cli::{Cli, Command, ServeArgs},
    client::{self, ClientError, Connection, EmergencyCommand, Exit, Outcome},
    config::Config,
    emergency, logging, server, setup,
};
use clap::Parser;

/// Runs what the command line names, to its end.
pub fn run() -> ExitCode {
    let command = Cli::parse().command;
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return complain(&error.into()),
    };
    let exit = runtime.block_on(execute(command));
    // Blocking work that is left can only be a card that does not answer.
    runtime.shutdown_background();
    exit
}

async fn execute(command: Command) -> ExitCode {
    match command {
        Command::Serve(args) => end(serve(args).await),
        Command::Audit { command } => end(audit::command::run(&command).await.map(Some)),
        Command::Init(args) => end(setup::init(&args).map(Some)),
        Command::ClientCertificate(args) => end(setup::client_certificate(&args).map(Some)),
        Command::ServerCertificate(args) => end(setup::server_certificate(&args).map(Some)),
        Command::Sign { args, connection } => {
            let called = async { client::sign(&mut client::connect(&connection).await?, &args).await };
            show(called.await, &connection)
        }
        Command::Prepare { args, connection } => {
            let called = async { client::prepare(&mut client::connect(&connection).await?, &args).await };
            show(called.await, &connection)
        }
        Command::SignBatch { args, connection } => {
            let called = async { client::sign_batch(&mut client::connect(&connection).await?, &args).await };
            show(called.await, &connection)
        }
        Command::Comfort { command, connection } => {
            let called = async { client::comfort(&mut client::connect(&connection).await?, &command).await };
            show(called.await, &connection)
        }
        Command::Verify { args, connection } => {
            let called = async { client::verify(&mut client::connect(&connection).await?, &args).await };
            show(called.await, &connection)
        }
        Command::ReadCard { args, connection } => {
            let called = async { client::read_card(&mut client::connect(&connection).await?, &args).await };
            show(called.await, &connection)
        }
        Command::Authenticate { args, connection } => {
            let called =
                async { client::authenticate(&mut client::connect(&connection).await?, &args).await };
            show(called.await, &connection)
        }
        Command::AnswerIdp { args, connection } => {
            let called = async { client::answer_idp(&mut client::connect(&connection).await?, &args).await };
            show(called.await, &connection)
        }
        Command::Emergency { command: EmergencyCommand::Verify(args), connection } => {
            match emergency::command::run(&args) {
                Ok(outcome) => show(Ok(outcome), &connection),
                Err(error) => complain(&error),
            }
        }
        Command::Emergency { command, connection } => {
            let called =
                async { client::emergency(&mut client::connect(&connection).await?, &command).await };
            show(called.await, &connection)
        }
        Command::ListCards { connection } => {
            let called = async { client::list_cards(&mut client::connect(&connection).await?).await };
            show(called.await, &connection)
        }
    }
}

async fn serve(args: ServeArgs) -> anyhow::Result<Option<String>> {
    let config = Config::load(&args.config)?;
    logging::start(&config.log);
    if !args.check {
        server::serve(config, args.insecure_development).await?;
        return Ok(None);
    }
    let found = server::check(config).await?;
    let socket = found.socket.display();
    let tls = found.tls.map(|(address, clients)| format!("\ntls: {address}, clients: {clients}"));
    let web = found.web.map(|place| format!("\nweb login: {place}"));
    let certificate = found.certificate_ends.map(|at| format!("\ncertificate: until {}", at.date()));
    let listeners: String = [tls, web, certificate].into_iter().flatten().collect();
    Ok(Some(format!(
        "configuration: usable\nmodule: {}\ntokens: {}\nsocket: {socket}{listeners}",
        found.module, found.tokens
    )))
}

#[allow(clippy::print_stdout, clippy::print_stderr)] // the place where the program talks
fn show(result: Result<Outcome, ClientError>, connection: &Connection) -> ExitCode {
    match result {
        Ok(outcome) if connection.json => {
            println!("{:#}", outcome.json);
            outcome.exit.into()
        }
        Ok(outcome) => {
            println!("{}", outcome.text);
            outcome.exit.into()
        }
        Err(error) => {
            if connection.json {
                println!("{:#}", error.json());
            }
            eprintln!("signer-service: {error}");
            error.exit().into()
        }
    }
}

#[allow(clippy::print_stdout)] // the place where the program talks
fn end(result: anyhow::Result<Option<String>>) -> ExitCode {
    match result {
        Ok(text) => {
            if let Some(text) = text {
                println!("{text}");
            }
            ExitCode::SUCCESS
        }
        Err(error) => complain(&error),
    }
}

#[allow(clippy::print_stderr)] // the place where the program talks
fn complain(error: &anyhow::Error) -> ExitCode {
    eprintln!("signer-service: {error}");
    Exit::Failure.into()
}
