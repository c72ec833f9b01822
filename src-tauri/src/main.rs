//! The Slipway window: a client of slipwayd and of the Engine API like any other. The page sees
//! only the typed commands registered here; nothing here decides anything about containers.

#![cfg_attr(not(debug_assertions), windows_subsystem = "windows")]

mod commands;
mod desk;
mod removal;
mod view;
mod watch;
mod window;

use std::sync::Arc;

use desk::Desk;
use tauri::{Manager, RunEvent};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let home = client::Home::from_env()?;
    let desk = Arc::new(Desk::new(home));
    let mut context = tauri::generate_context!();
    // Two homes are two Slipways: each may have its window.
    context.config_mut().identifier = window::identifier(&context.config().identifier);
    let app = tauri::Builder::default()
        .plugin(tauri_plugin_single_instance::init(|app, _, _| {
            window::bring_forward(app);
        }))
        .plugin(tauri_plugin_clipboard_manager::init())
        .plugin(tauri_plugin_opener::init())
        .manage(Arc::clone(&desk))
        .invoke_handler(tauri::generate_handler![
            commands::containers::container_inspect,
            commands::containers::container_restart,
            commands::containers::container_run,
            commands::containers::container_start,
            commands::containers::container_stop,
            commands::images::image_pull,
            commands::images::image_pull_cancel,
            commands::logs::logs_ack,
            commands::logs::logs_before,
            commands::logs::logs_close,
            commands::logs::logs_open,
            commands::machine::diagnose,
            commands::machine::machine_console,
            commands::machine::machine_restart,
            commands::machine::machine_start,
            commands::machine::machine_stop,
            commands::removals::remove,
            commands::removals::undo,
            commands::shell::about,
            commands::shell::copy_text,
            commands::shell::open_port,
            commands::shell::set_visible,
            commands::shell::set_zoom,
            commands::shell::watch,
        ])
        .setup(|app| Ok(window::open(app.handle())?))
        .build(context)?;
    app.run(|app, event| {
        if let RunEvent::ExitRequested { .. } = event {
            let desk = Arc::clone(&app.state::<Arc<Desk>>());
            tauri::async_runtime::block_on(async move { desk.removals.finish(&desk).await });
        }
    });
    Ok(())
}
