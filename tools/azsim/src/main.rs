//! The `azsim` command: serve until a signal comes, or measure itself.

#![forbid(unsafe_code)]

mod bench;
mod cli;
mod cli_network;
mod cpu;

use std::io::Write as _;
use std::process::ExitCode;

use azsim::Authority;
use clap::Parser as _;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli = cli::Cli::parse();
    let done = match cli.command {
        Some(cli::Command::Bench(args)) => bench::run(&args),
        None => serve(cli.serve),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("azsim: {e}");
            ExitCode::FAILURE
        }
    }
}

/// Serves until SIGINT or SIGTERM, then prints what was done.
fn serve(args: cli::Serve) -> std::io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        use tokio::signal::unix::{SignalKind, signal};
        // Before the server says that it is ready, so that a signal right after that is not lost.
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        let (containers, ca_out) = (args.containers.clone(), args.ca_out.clone());
        let authority = args.authority()?;
        let mut builder = args.builder()?;
        if let Some(authority) = &authority {
            builder = builder.authority(authority);
        }
        let server = builder.start()?;
        for account in server.accounts() {
            for container in &containers {
                if !server.create_container(&account, container) {
                    let why = "given twice, or no valid name for a container";
                    return Err(std::io::Error::other(format!("--container {container}: {why}")));
                }
            }
        }
        if let (Some(path), Some(pem)) = (&ca_out, server.ca_pem()) {
            let other = authority.as_ref().and_then(Authority::ca_pem).filter(|other| *other != pem);
            std::fs::write(path, [pem, other.unwrap_or_default()].concat())?;
        }
        if let Some(authority) = &authority {
            let (login, machine, tenant) = (authority.url(), authority.imds_url(), authority.tenant());
            println!("azsim issues tokens of the tenant {tenant} on {login}, and to this machine on {machine}");
        }
        println!("azsim listening on {}://{}", server.scheme(), server.addr());
        std::io::stdout().flush()?;
        std::future::poll_fn(|cx| {
            if interrupt.poll_recv(cx).is_ready() || terminate.poll_recv(cx).is_ready() {
                return std::task::Poll::Ready(());
            }
            std::task::Poll::Pending
        })
        .await;
        let (stats, cpu) = (server.stats(), cpu::process_seconds());
        let per_request = cpu * 1e6 / (stats.requests.max(1)) as f64;
        println!(
            "azsim: {} requests, {} connections, {} bytes in, {} bytes out, {} errors, {cpu:.2} s CPU, {per_request:.1} us CPU a request",
            stats.requests,
            stats.connections,
            stats.bytes_in,
            stats.bytes_out,
            stats.errors.values().sum::<u64>(),
        );
        Ok(())
    })
}
