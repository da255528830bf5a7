//! What all directives have of the grammar of `RUST_LOG`.

pub(crate) const NO_TARGET: &str = "its target is no path of a module";

/// The directives of a list.
pub(crate) fn each(directives: &str) -> impl Iterator<Item = &str> {
    let trimmed = directives.split(',').map(str::trim);
    trimmed.filter(|directive| !directive.is_empty())
}

/// Refuses what is no path of a module. A path may be empty.
pub(crate) fn check_target(target: &str) -> Result<(), &'static str> {
    if target.replace("::", "").contains([' ', '/', '*', ':', ']']) {
        return Err(NO_TARGET);
    }
    Ok(())
}
