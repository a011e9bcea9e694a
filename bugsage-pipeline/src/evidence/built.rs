//! The source that a release was built from, for whoever needs no more than a file of it.

use crate::evidence::window::{KnownBy, commit_of_event};
use crate::repository::{Located, Repository, RepositoryError, Tree, is_foreign};

/// The source of a release, of which it is known for sure that it is that.
#[derive(Debug)]
pub struct BuiltSource {
    repository: Repository,
    tree: Tree,
}

impl BuiltSource {
    /// Finds the commit that a release names, or the tag of its version where it names none. `None` where the
    /// repository has neither: what is checked out would be a guess.
    ///
    /// # Errors
    ///
    /// Where the repository cannot be read; [`RepositoryError::is_retryable`] tells whether to try again.
    pub fn of_release(location: &str, release: &str) -> Result<Option<Self>, RepositoryError> {
        let repository = Repository::open(location)?;
        let commit = commit_of_event(&repository, Some(release))?;
        let is_sure = commit.note.is_none() && commit.known_by != KnownBy::Guessed;
        if !is_sure {
            return Ok(None);
        }
        let tree = repository.tree(&commit.commit)?;
        Ok(Some(Self { repository, tree }))
    }

    /// The text of the file that a path of an event means. `None` where there is no such file of the project's own,
    /// or none that can be read as text.
    ///
    /// # Errors
    ///
    /// Where the repository cannot be read; [`RepositoryError::is_retryable`] tells whether to try again.
    pub fn text(&self, file: &str) -> Result<Option<String>, RepositoryError> {
        if is_foreign(file) {
            return Ok(None);
        }
        let Located::File(path) = self.tree.locate(file) else {
            return Ok(None);
        };
        let source = self.repository.read(&self.tree, &path)?;
        Ok(source.ok().map(|source| source.text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::repository::testing::TestRepository;

    #[test]
    fn the_source_of_a_release_is_that_of_its_commit_or_tag_and_never_a_guess() {
        let repository = TestRepository::new();
        let first = repository.commit_file("src/main.rs", "fn first() {}\n", "first");
        repository.git(&["tag", "v1.0.0"]);
        repository.commit_file("src/main.rs", "fn second() {}\n", "second");
        let location = repository.location();
        let text = |release: &str| {
            let built = BuiltSource::of_release(&location, release).expect("can be read")?;
            built.text("shop/src/main.rs").expect("can be read")
        };

        assert_eq!(
            text(&format!("shop@2.0.0+{first}")).as_deref(),
            Some("fn first() {}\n")
        );
        assert_eq!(text("shop@1.0.0").as_deref(), Some("fn first() {}\n"));
        assert_eq!(
            text("shop@2.0.0"),
            None,
            "nobody knows what that was built from"
        );
        assert_eq!(
            text("shop@1.0.0+0123456789"),
            None,
            "the tag may be another commit"
        );
    }

    #[test]
    fn files_of_others_have_no_text() {
        let repository = TestRepository::new();
        repository.commit_file("src/main.rs", "fn first() {}\n", "first");
        repository.git(&["tag", "v1.0.0"]);
        let built = BuiltSource::of_release(&repository.location(), "shop@1.0.0");
        let built = built.expect("can be read").expect("is there");

        for file in ["/rustc/0123/library/src/main.rs", "src/other.rs", ""] {
            assert_eq!(built.text(file).expect("can be read"), None, "{file}");
        }
    }
}
