//! What the page cannot do itself: the clipboard, the browser, zoom, and hearing of changes.

use std::sync::Arc;

use tauri::ipc::Channel;
use tauri::{AppHandle, WebviewWindow};
use tauri_plugin_clipboard_manager::ClipboardExt;
use tauri_plugin_opener::OpenerExt;

use super::{Answer, State};
use crate::view::{About, Problem, WindowEvent};
use crate::watch;

/// Versions and places.
#[tauri::command]
pub(crate) async fn about(desk: State<'_>) -> Answer<About> {
    Ok(About {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        os: std::env::consts::OS.to_owned(),
        home: desk.home.root().display().to_string(),
    })
}

/// Tells the page of every change from now on, beginning with how things are. A page that was
/// loaded again replaces the one before.
#[tauri::command]
pub(crate) async fn watch(desk: State<'_>, channel: Channel<WindowEvent>) -> Answer<()> {
    desk.close_logs();
    watch::begin(&Arc::clone(&desk), channel);
    Ok(())
}

/// Whether somebody can see the page; nothing is polled for a hidden one.
#[tauri::command]
pub(crate) async fn set_visible(desk: State<'_>, visible: bool) -> Answer<()> {
    desk.visible.send_replace(visible);
    Ok(())
}

/// Puts text on the clipboard.
#[tauri::command]
pub(crate) async fn copy_text(app: AppHandle, text: String) -> Answer<()> {
    app.clipboard()
        .write_text(text)
        .map_err(|error| Problem::say(error.to_string()))
}

/// Opens a port of this computer in the browser. Takes no address: a page must not be able to
/// open anything else.
#[tauri::command]
pub(crate) async fn open_port(app: AppHandle, port: u16) -> Answer<()> {
    app.opener()
        .open_url(format!("http://localhost:{port}/"), None::<&str>)
        .map_err(|error| Problem::say(error.to_string()))
}

/// Zooms the page.
#[tauri::command]
pub(crate) async fn set_zoom(window: WebviewWindow, factor: f64) -> Answer<()> {
    Ok(window.set_zoom(factor.clamp(0.8, 1.5))?)
}
