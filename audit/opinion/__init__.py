"""What an ordinary strict aligner says of the rows that an audit excludes."""
